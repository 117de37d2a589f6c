//! Criterion benches of `tuf-core`: bytes in, verdict out.
//!
//! `cargo bench --manifest-path bench/Cargo.toml -p bench-micro`

use std::sync::Arc;

use bench_micro::Repository;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tuf_core::Step;
use tuf_core::canonical::canonicalise;

/// A document of 100,000 targets: read strictly and turned into canonical form, weighed, and looked into.
fn large(bench: &mut Criterion) {
    let repository = Repository::flat(100_000);
    let (file, snapshot) = (Arc::new(repository.targets.clone()), repository.snapshot());
    let mut group = bench.benchmark_group("100,000 targets");
    group.sample_size(10).throughput(Throughput::Bytes(u64::try_from(file.len()).unwrap_or(0)));
    group.bench_function("canonicalise, in normal form", |b| b.iter(|| canonicalise(black_box(&file))));
    let spaced = repository.spaced();
    group.bench_function("canonicalise, with white space", |b| b.iter(|| canonicalise(black_box(&spaced))));
    group.bench_function("parse and verify", |b| b.iter(|| snapshot.targets_shared(black_box(&file))));
    if let Ok(targets) = snapshot.targets_shared(&file)
        && let Some(receipt) = targets.receipt(&file)
    {
        group.bench_function("recall by receipt", |b| b.iter(|| snapshot.targets_known(&receipt, &file)));
        let path = Repository::path(77_777);
        group.throughput(Throughput::Elements(1));
        group.bench_function("look up", |b| b.iter(|| targets.document().target(black_box(&path))));
    }
    group.finish();
}

/// The way to one of 16,384 bins, without the bin itself.
fn bins(bench: &mut Criterion) {
    let repository = Repository::bins();
    let (file, snapshot) = (Arc::new(repository.targets.clone()), repository.snapshot());
    let mut group = bench.benchmark_group("16,384 bins");
    group.sample_size(20);
    group.bench_function("parse and verify", |b| b.iter(|| snapshot.targets_shared(black_box(&file))));
    if let Ok(targets) = snapshot.targets_shared(&file) {
        let path = Repository::path(77_777);
        group.bench_function("search", |b| {
            b.iter_batched(
                || snapshot.search(targets.clone(), &path),
                |mut search| matches!(search.step(), Ok(Step::Need(_))),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// One signature over a kilobyte, by each kind of key that is verified.
fn signatures(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("verify 1 KiB");
    for (name, key, signature) in bench_micro::signatures() {
        let crypto = tuf_core::crypto::default();
        group.bench_function(name, |b| {
            b.iter(|| crypto.verify(black_box(&key), black_box(bench_micro::MESSAGE), black_box(&signature)));
        });
    }
    group.finish();
}

criterion_group!(benches, large, bins, signatures);
criterion_main!(benches);
