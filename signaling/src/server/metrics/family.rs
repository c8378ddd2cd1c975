//! Metrics in the making: names, help and samples, until they are text.
//!
//! Invariant: labels are names of this program, never words of a client.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// All metrics of a page, in their order.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<Family>);

/// One metric with its samples.
#[derive(Debug)]
struct Family {
    name: String,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Option<(&'static str, &'static str)>, f64)>,
}

impl Families {
    /// What only grows, by the values of one label; an empty label is none.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        self.add(name, help, MetricType::Counter, label, values);
    }

    /// What goes up and down, by the values of one label; an empty label is none.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        self.add(name, help, MetricType::Gauge, label, values);
    }

    /// A counter of any kind of number, under its full name.
    pub(super) fn plain_counter(&mut self, name: &str, help: &'static str, value: f64) {
        self.0.push(Family { name: name.to_owned(), help, kind: MetricType::Counter, samples: vec![(None, value)] });
    }

    /// A gauge of any kind of number, under its full name.
    pub(super) fn plain_gauge(&mut self, name: &str, help: &'static str, value: f64) {
        self.0.push(Family { name: name.to_owned(), help, kind: MetricType::Gauge, samples: vec![(None, value)] });
    }

    fn add(
        &mut self,
        name: &str,
        help: &'static str,
        kind: MetricType,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        let labelled = |value| Some((label, value)).filter(|_| !label.is_empty());
        // No count comes near 2^53, beyond which it would lose its last digits.
        let samples = values.into_iter().map(|(value, number)| (labelled(value), number as f64)).collect();
        self.0.push(Family { name: format!("swarmreel_{name}"), help, kind, samples });
    }

    /// OpenMetrics text.
    pub(super) fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry).expect("a string takes all text");
        text
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, kind, samples } in &self.0 {
            let mut family = encoder.encode_descriptor(name, help, None, *kind)?;
            for (label, value) in samples {
                match label {
                    None => encode(&mut family, *kind, *value)?,
                    Some(label) => encode(&mut family.encode_family(&[*label])?, *kind, *value)?,
                }
            }
        }
        Ok(())
    }
}

fn encode(sample: &mut MetricEncoder<'_>, kind: MetricType, value: f64) -> fmt::Result {
    match kind {
        MetricType::Counter => sample.encode_counter::<NoLabelSet, _, f64>(&value, None),
        _ => sample.encode_gauge(&value),
    }
}
