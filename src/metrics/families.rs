//! Registering series, and the groups of counters that come several times.

use std::fmt::Write;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result,
};

/// A counter whose established name lacks `_total`.
///
/// Prometheus's linter takes only counters with that ending. The name is what
/// dashboards ask for, so the name stays and the series is declared `untyped`, which
/// `rate()` and `increase()` read just the same.
#[derive(Debug)]
pub(super) struct PlainCounter {
    name: String,
    help: String,
    value: IntCounter,
}

impl PlainCounter {
    pub(super) fn render(&self, out: &mut String) {
        let Self { name, help, value } = self;
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "# HELP {name} {help}\n# TYPE {name} untyped\n{name} {value}\n",
            value = value.get()
        );
    }
}

/// Makes series and registers them.
pub(super) struct Families {
    registry: Registry,
    plain: Vec<PlainCounter>,
}

impl Families {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { registry: Registry::new_custom(None, None)?, plain: Vec::new() })
    }

    pub(super) fn finish(self) -> (Registry, Vec<PlainCounter>) {
        (self.registry, self.plain)
    }

    fn registered<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Result<IntGauge> {
        self.registered(IntGauge::new(name, help)?)
    }

    pub(super) fn gauge_seconds(&mut self, name: &str, help: &str) -> Result<Gauge> {
        self.registered(Gauge::new(name, help)?)
    }

    pub(super) fn gauge_by(&mut self, name: &str, help: &str, label: &str) -> Result<IntGaugeVec> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), &[label])?)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> Result<IntCounter> {
        self.registered(IntCounter::new(name, help)?)
    }

    pub(super) fn counter_by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntCounterVec> {
        self.registered(IntCounterVec::new(Opts::new(name, help), &[label])?)
    }

    pub(super) fn counter_seconds_by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<CounterVec> {
        self.registered(CounterVec::new(Opts::new(name, help), &[label])?)
    }

    pub(super) fn plain_counter(&mut self, name: &str, help: &str) -> Result<IntCounter> {
        let value = IntCounter::new(name, help)?;
        self.plain.push(PlainCounter {
            name: name.to_owned(),
            help: help.to_owned(),
            value: value.clone(),
        });
        Ok(value)
    }

    /// `bounds_secs`: the upper bounds of the buckets, in seconds.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds_secs: &[f64],
    ) -> Result<Histogram> {
        let options = HistogramOpts::new(name, help).buckets(bounds_secs.to_vec());
        self.registered(Histogram::with_opts(options)?)
    }

    pub(super) fn histogram_by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        bounds_secs: &[f64],
    ) -> Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(bounds_secs.to_vec());
        self.registered(HistogramVec::new(options, &[label])?)
    }

    /// The counters of requests to an object store.
    pub(super) fn object_requests(&mut self, prefix: &str) -> Result<()> {
        for (operation, what) in [
            ("list_objects", "list objects"),
            ("copy_object", "copy an object"),
            ("delete_object", "delete an object"),
            ("head_object", "read an object's metadata"),
        ] {
            self.plain_counter(
                &format!("sftpgo_{prefix}_{operation}"),
                &format!("Requests to {prefix} to {what} that succeeded"),
            )?;
            self.plain_counter(
                &format!("sftpgo_{prefix}_{operation}_errors"),
                &format!("Requests to {prefix} to {what} that failed"),
            )?;
        }
        Ok(())
    }

    /// The `process_…` series; where the system does not tell them, none.
    pub(super) fn process_series(&mut self) -> Result<()> {
        #[cfg(target_os = "linux")]
        self.registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(())
    }
}

/// Uploads or downloads.
#[derive(Debug)]
pub(super) struct DirectionCounters {
    done: IntCounter,
    errors: IntCounter,
    bytes: IntCounter,
}

impl DirectionCounters {
    pub(super) fn count(&self, is_ok: bool, bytes: u64) {
        if is_ok {
            self.done.inc();
        } else {
            self.errors.inc();
        }
        self.bytes.inc_by(bytes);
    }

    /// `prefix` is empty or ends with `_`; `direction` is `upload` or `download`.
    fn new(make: &mut Families, prefix: &str, direction: &str, whose: &str) -> Result<Self> {
        Ok(Self {
            done: make.counter(
                &format!("sftpgo_{prefix}{direction}s_total"),
                &format!("Successful {direction}s{whose}"),
            )?,
            errors: make.counter(
                &format!("sftpgo_{prefix}{direction}_errors_total"),
                &format!("Failed {direction}s{whose}"),
            )?,
            bytes: make.plain_counter(
                &format!("sftpgo_{prefix}{direction}_size"),
                &format!("Bytes moved by {direction}s{whose}, failed ones included"),
            )?,
        })
    }
}

/// The transfers of all backends together or of one.
#[derive(Debug)]
pub(super) struct BackendCounters {
    pub(super) uploads: DirectionCounters,
    pub(super) downloads: DirectionCounters,
}

impl BackendCounters {
    pub(super) fn general(make: &mut Families) -> Result<Self> {
        Ok(Self {
            uploads: DirectionCounters::new(make, "", "upload", "")?,
            downloads: DirectionCounters::new(make, "", "download", "")?,
        })
    }

    pub(super) fn of(make: &mut Families, backend: &str) -> Result<Self> {
        let (prefix, whose) = (format!("{backend}_"), format!(" on {backend}"));
        Ok(Self {
            uploads: DirectionCounters::new(make, &prefix, "upload", &whose)?,
            downloads: DirectionCounters::new(make, &prefix, "download", &whose)?,
        })
    }
}

/// Login attempts and how they ended.
#[derive(Debug)]
pub(super) struct LoginCounters {
    attempts: IntCounter,
    ok: IntCounter,
    failed: IntCounter,
}

impl LoginCounters {
    pub(super) fn all_methods(make: &mut Families) -> Result<Self> {
        Self::new(make, "", "")
    }

    pub(super) fn of(make: &mut Families, prefix: &str, label: &str) -> Result<Self> {
        Self::new(make, &format!("{prefix}_"), &format!(" by {label}"))
    }

    fn new(make: &mut Families, prefix: &str, how: &str) -> Result<Self> {
        let mut counter = |name: &str, what: &str| {
            make.counter(&format!("sftpgo_{prefix}login_{name}_total"), &format!("{what}{how}"))
        };
        Ok(Self {
            attempts: counter("attempts", "Login attempts")?,
            ok: counter("ok", "Successful logins")?,
            failed: counter("ko", "Failed logins")?,
        })
    }

    pub(super) fn count(&self, is_ok: bool) {
        self.attempts.inc();
        if is_ok {
            self.ok.inc();
        } else {
            self.failed.inc();
        }
    }
}
