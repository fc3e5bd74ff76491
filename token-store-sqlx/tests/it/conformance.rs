//! SQLite keeps every promise of the storage trait, and the suite notices on it when one is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use token_core::TokenStore;
use token_core::testing::{conformance, sabotage_goes_unnoticed};
use token_store_sqlx::SqlStore;

/// Fresh databases in one folder, which is gone at the end.
struct Folder {
    folder: tempfile::TempDir,
    opened: AtomicU32,
}

impl Folder {
    fn new() -> Folder {
        Folder { folder: tempfile::tempdir().unwrap(), opened: AtomicU32::new(0) }
    }

    async fn open(&self) -> Arc<dyn TokenStore> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number}.db"));
        Arc::new(SqlStore::open(&format!("sqlite://{}", path.display())).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_conformant() {
    let folder = Folder::new();
    let broken = conformance(async || folder.open().await).await;
    assert!(broken.is_empty(), "{}", broken.iter().map(|broken| format!("{broken}\n")).collect::<String>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breach_of_any_promise_is_noticed_on_sqlite() {
    let folder = Folder::new();
    assert_eq!(sabotage_goes_unnoticed(async || folder.open().await).await, []);
}
