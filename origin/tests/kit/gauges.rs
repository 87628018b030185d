//! A metrics recorder for one router: what it counted, readable by name and labels.
#![allow(dead_code, reason = "each test binary uses its share")]

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub struct Gauges {
    cells: Mutex<HashMap<String, Arc<AtomicU64>>>,
}

impl Gauges {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: String = key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect();
        Arc::clone(self.cells.lock().unwrap().entry(format!("{}{labels}", key.name())).or_default())
    }

    /// A counter, named like `weir_origin_requests_total kind=part status=2xx`.
    pub fn counter(&self, name: &str) -> u64 {
        self.try_counter(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The same, `None` when it was never counted.
    pub fn try_counter(&self, name: &str) -> Option<u64> {
        Some(self.cells.lock().unwrap().get(name)?.load(Ordering::Relaxed))
    }

    /// A gauge, named alike.
    pub fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.counter(name))
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
