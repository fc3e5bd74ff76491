//! Servers: those that the environment names, or private ones as a host runs them, with what makes commits last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Pool, Prepared, prepared, wait};
use crate::Trouble;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// `TOKEN_TEST_POSTGRES_URL`, or a private server.
    Postgres,
    /// `TOKEN_TEST_MYSQL_URL`, or a private server.
    MariaDb,
}

impl Kind {
    /// As the script calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mariadb",
        }
    }
}

/// Where databases are, and what of them is to be taken away in the end. Clones are the same.
#[derive(Debug, Clone)]
pub struct Databases {
    root: PathBuf,
    begun: Arc<Mutex<Begun>>,
}

#[derive(Debug, Default)]
struct Begun {
    /// Administrators' addresses of servers.
    servers: BTreeMap<Kind, String>,
    /// Folders of servers that were started here.
    started: Vec<PathBuf>,
    /// Databases that were made for this run: the administrator's address, and the name.
    made: Vec<(Kind, String, String)>,
    files: Vec<PathBuf>,
    prepared: BTreeMap<Kind, Arc<Prepared>>,
}

impl Databases {
    /// Private servers and files go into this folder.
    #[must_use]
    pub fn new(root: PathBuf) -> Databases {
        Databases { root, begun: Arc::default() }
    }

    /// The folder, made.
    ///
    /// # Errors
    /// If it can't be.
    pub fn root(&self) -> Result<PathBuf, Trouble> {
        std::fs::create_dir_all(&self.root)?;
        Ok(self.root.canonicalize()?)
    }

    /// The address of an administrator's database of a server, which is started if the environment names none.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn server(&self, kind: Kind) -> Result<String, Trouble> {
        let mut begun = self.begun();
        if let Some(url) = begun.servers.get(&kind) {
            return Ok(url.clone());
        }
        let variable = if kind == Kind::Postgres { "TOKEN_TEST_POSTGRES_URL" } else { "TOKEN_TEST_MYSQL_URL" };
        let url = match std::env::var(variable) {
            Ok(url) => url,
            Err(_) => {
                let folder = self.root()?.join(kind.name());
                // Noted before it is there: an interrupt may come while it starts.
                begun.started.push(folder.clone());
                script(&["start", kind.name()], &folder)?
            }
        };
        begun.servers.insert(kind, url.clone());
        Ok(url)
    }

    /// The folder of a private server, if that is what the server of this kind is.
    #[must_use]
    pub fn folder(&self, kind: Kind) -> Option<PathBuf> {
        self.begun().started.iter().find(|folder| folder.ends_with(kind.name())).cloned()
    }

    /// The address of a new and empty database, which is gone when the program ends.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn make(&self, kind: Kind, name: &str) -> Result<String, Trouble> {
        let name = format!("token_bench_{name}_{}", std::process::id());
        if kind == Kind::Sqlite {
            let file = self.root()?.join(format!("{name}.db"));
            self.begun().files.push(file.clone());
            return Ok(format!("sqlite://{}", file.display()));
        }
        let admin = self.server(kind)?;
        let url = on_server(&admin, &name)?;
        self.begun().made.push((kind, admin.clone(), name.clone()));
        wait(async { Pool::open(&admin, 1).await?.run(&format!("CREATE DATABASE {name}")).await })?;
        Ok(url)
    }

    /// The address of a database that stays for the next run, and whether it was there already.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn keep(&self, kind: Kind, name: &str) -> Result<(String, bool), Trouble> {
        let name = format!("token_bench_{name}");
        if kind == Kind::Sqlite {
            let file = self.root()?.join(format!("{name}.db"));
            return Ok((format!("sqlite://{}", file.display()), file.exists()));
        }
        let admin = self.server(kind)?;
        let url = on_server(&admin, &name)?;
        let there = wait(async {
            let pool = Pool::open(&admin, 1).await?;
            let there = pool.has_database(&name).await?;
            if !there {
                pool.run(&format!("CREATE DATABASE {name}")).await?;
            }
            Ok(there)
        })?;
        Ok((url, there))
    }

    /// Whether [`keep`](Databases::keep) made a database of this name in an earlier run.
    ///
    /// # Errors
    /// If the server does not say.
    pub fn has(&self, kind: Kind, name: &str) -> Result<bool, Trouble> {
        let name = format!("token_bench_{name}");
        if kind == Kind::Sqlite {
            return Ok(self.root()?.join(format!("{name}.db")).exists());
        }
        let admin = self.server(kind)?;
        wait(async { Pool::open(&admin, 1).await?.has_database(&name).await })
    }

    /// A database with tokens of the service, the same one for all who ask in this run.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn prepared(&self, kind: Kind) -> Result<Arc<Prepared>, Trouble> {
        if let Some(prepared) = self.begun().prepared.get(&kind) {
            return Ok(Arc::clone(prepared));
        }
        let url = self.make(kind, "prepared")?;
        let prepared = Arc::new(wait(prepared::prepare(kind, url))?);
        self.begun().prepared.insert(kind, Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Ends what was begun.
    pub fn take_away(&self) {
        let begun = std::mem::take(&mut *self.begun());
        for (kind, admin, name) in begun.made {
            let force = if kind == Kind::Postgres { " WITH (FORCE)" } else { "" };
            // What can't be dropped is on a server that is gone, or about to be.
            drop(wait(async {
                Pool::open(&admin, 1).await?.run(&format!("DROP DATABASE IF EXISTS {name}{force}")).await
            }));
        }
        for file in begun.files {
            for suffix in ["", "-wal", "-shm"] {
                let file = PathBuf::from(format!("{}{suffix}", file.display()));
                drop(std::fs::remove_file(file));
            }
        }
        for folder in begun.started {
            drop(script(&["stop"], &folder));
        }
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the kernel says of the machine's memory: in KiB, or in pages where it counts pages.
pub(crate) fn memory(what: &str) -> Result<u64, Trouble> {
    let told = std::fs::read_to_string("/proc/meminfo")?;
    let line = told.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("the kernel does not say")?;
    Ok(number.parse()?)
}

/// The address of another database on the same server.
fn on_server(admin: &str, name: &str) -> Result<String, Trouble> {
    let (server, _) = admin.rsplit_once('/').ok_or("the address names no database")?;
    Ok(format!("{server}/{name}"))
}

/// Runs `scripts/database`, for servers as hosts have them: commits outlive a loss of power, and PostgreSQL has the most memory of its own
/// that its manual advises, 40 % of the machine's.
///
/// # Errors
/// What it says.
pub(crate) fn script(words: &[&str], folder: &Path) -> Result<String, Trouble> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/database");
    let buffers = format!("{}kB", memory("MemTotal")? * 4 / 10);
    let done = Command::new(script).args(words).arg(folder).envs([("DURABLE", "1"), ("BUFFERS", &buffers)]).output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    Ok(String::from_utf8(done.stdout)?.trim().to_owned())
}
