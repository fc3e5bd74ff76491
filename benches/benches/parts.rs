//! The parts of a verification, each by itself: `cargo bench -p token-bench`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use token_bench::mac::{Cloned, Floor, MESSAGE};
use token_bench::subject::{ProjectsRead, Subject, credential, pass, verify_cached};

fn parts(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let subject = runtime.block_on(Subject::in_memory(1)).expect("a service in memory");
    let (tokens, header) = (&subject.tokens, &*subject.headers[0]);
    let text = header.strip_prefix(b"Bearer ").expect("a bearer token");
    let mut mistyped = header.to_vec();
    mistyped.iter_mut().next_back().into_iter().for_each(|last| *last = if *last == b'0' { b'1' } else { b'0' });

    criterion.bench_function("read header", |b| b.iter(|| credential(tokens, black_box(header)).is_ok()));
    criterion.bench_function("parse and checksum", |b| b.iter(|| tokens.format().check(black_box(text))));
    let (floor, cloned, message) = (Floor::new(&[1; 32]), Cloned::new(&[1; 32]).expect("a key"), [7; MESSAGE]);
    criterion.bench_function("MAC, two states", |b| b.iter(|| floor.mac(black_box(&message))));
    criterion.bench_function("MAC, a cloned Hmac", |b| b.iter(|| cloned.mac(black_box(&message))));
    let cache = quick_cache::sync::Cache::new(1000);
    cache.insert([7_u8; 16], Arc::new([0_u8; 200]));
    criterion.bench_function("cache get", |b| b.iter(|| cache.get(black_box(&[7; 16])).is_some()));
    criterion.bench_function("clock", |b| b.iter(|| tokens.now()));
    criterion.bench_function("verify, cached", |b| b.iter(|| verify_cached(tokens, black_box(header))));
    let verified = verify_cached(tokens, header).and_then(Result::ok).expect("a good token");
    criterion.bench_function("scope", |b| b.iter(|| tokens.require::<ProjectsRead>(black_box(&verified)).is_ok()));
    criterion
        .bench_function("tally", |b| b.iter(|| tokens.tally_use(black_box(&verified), &token_core::Call::default())));
    criterion.bench_function("all of it, cached", |b| b.iter(|| pass(tokens, black_box(header))));
    criterion.bench_function("refuse a mistyped one", |b| b.iter(|| verify_cached(tokens, black_box(&mistyped))));
    criterion.bench_function("refuse, with answer and receipt", |b| {
        b.iter(|| match verify_cached(tokens, black_box(&mistyped)) {
            Some(Err(refusal)) => Some(refusal.answer(tokens.realm(), tokens.sources())),
            _ => None,
        });
    });
}

criterion_group!(benches, parts);
criterion_main!(benches);
