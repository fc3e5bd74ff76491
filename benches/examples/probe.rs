use std::sync::Arc;
use std::time::Instant;
use token_bench::database::*;
use token_bench::shelf::Shelf;
use token_bench::subject::*;
use token_core::TokenStore;
fn main() {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let (s, b) = Subject::on(Arc::new(Shelf::default()), Keeping::nothing(), 1000).await.unwrap();
        b.turn().await.unwrap();
        for _ in 0..3 {
            let st = Instant::now();
            let mut n = 0;
            for _ in 0..100 {
                for h in &s.headers {
                    verify(&s.tokens, h).await.map_err(|_| "x").unwrap();
                    n += 1;
                }
            }
            println!("miss on shelf {:.0} ns", st.elapsed().as_nanos() as f64 / n as f64);
        }
    });
    let url = std::env::args().nth(1).unwrap();
    rt.block_on(async {
        let store = Arc::new(token_store_sqlx::SqlStore::open(&url).await.unwrap());
        let (s, b) = Subject::on(store.clone(), Keeping::nothing(), 1000).await.unwrap();
        b.turn().await.unwrap();
        let pool = Pool::open(&url, 10).await.unwrap();
        let sels: Vec<_> =
            s.headers.iter().map(|h| s.tokens.format().check(h.strip_prefix(b"Bearer ").unwrap()).unwrap()).collect();
        let mut t = [vec![], vec![], vec![], vec![]];
        for _ in 0..40 {
            for k in 0..4 {
                let st = Instant::now();
                for i in 0..100 {
                    match k {
                        0 => pool.point(sels[i].as_bytes()).await.unwrap(),
                        1 => {
                            store.load(&sels[i..i + 1]).await.unwrap();
                        }
                        2 => {
                            verify(&s.tokens, &s.headers[i]).await.map_err(|_| "x").unwrap();
                        }
                        _ => {
                            store.owner(&token_core::OwnerId::new("owner-1").unwrap()).await.unwrap();
                        }
                    }
                }
                t[k].push(st.elapsed().as_nanos() as f64 / 100e3);
            }
        }
        for k in 0..4 {
            t[k].sort_by(f64::total_cmp);
            println!("{k} median {:.1} us min {:.1}", t[k][20], t[k][0]);
        }
    });
}
