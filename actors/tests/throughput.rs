//! Throughput, with paused time: every sample is where the test expects it.

mod common;

use std::time::Duration;

use actors::{AbortReason, Flow};
use common::{FakeEnd, World, paused};

async fn seconds(count: u64) {
    // Past the sample, so that its task has had its turn.
    tokio::time::sleep(Duration::from_millis(count * 1000 + 10)).await;
}

#[test]
fn bytes_of_open_and_ended_transfers_are_counted_once() {
    paused(async {
        let world = World::new();
        let throughput = &world.actors.throughput;
        let client = world.client("ann").await;
        let (transfer, meter) = client.upload().await;
        meter.add(3000);
        seconds(1).await;
        assert_eq!(throughput.report().total, Flow { upload: 3000, download: 0 });
        meter.add(500);
        let (end, _ran) = FakeEnd::new();
        transfer.abort(end, AbortReason::Dropped);
        world.transfers_ended().await;
        drop(client);
        seconds(2).await;
        assert_eq!(throughput.report().total, Flow { upload: 3500, download: 0 });
    });
}

#[test]
fn transfer_reports_its_rate_and_the_time_left() {
    paused(async {
        let world = World::new();
        let client = world.client("ann").await;
        let (_transfer, meter) = client.upload().await;
        meter.expect(100_000);
        // Between two samples, so that each has its part.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..12 {
            meter.add(2000);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let sessions = world.actors.registry.list().await;
        let transfer = &sessions[0].transfers[0];
        assert_eq!(transfer.number, 1);
        assert_eq!(transfer.recent_rates.len(), 12);
        assert!((1990..=2000).contains(&transfer.rate), "{transfer:?}");
        assert_eq!(transfer.secs_left(), Some(76_000 / transfer.rate));
        let current = world.actors.throughput.current();
        assert_eq!(current, Flow { upload: transfer.rate, download: 0 });
        seconds(11).await;
        let sessions = world.actors.registry.list().await;
        assert_eq!(sessions[0].transfers[0].rate, 0);
        assert_eq!(sessions[0].transfers[0].secs_left(), None);
    });
}

#[test]
fn who_watches_is_told_of_each_sample() {
    paused(async {
        let world = World::new();
        let mut samples = world.actors.throughput.samples();
        for _ in 0..3 {
            samples.changed().await.unwrap();
        }
        let report = world.actors.throughput.report();
        assert!(report.last_minute.len() >= 3, "{report:?}");
    });
}

#[test]
fn a_registry_that_panics_costs_no_byte() {
    paused(async {
        let world = World::new();
        let client = world.client("ann").await;
        let (_transfer, meter) = client.upload().await;
        meter.add(700);
        world.actors.registry.inject(actors::Fault::Panic).await;
        seconds(2).await;
        meter.add(70);
        seconds(1).await;
        assert_eq!(world.actors.throughput.report().total.upload, 770);
    });
}
