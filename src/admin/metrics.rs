//! `/metrics`: Prometheus' text format 0.0.4.

use std::fmt::{self, Display, Write as _};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::Sight;

/// How a metric's value moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; the name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Begins a metric: one `# HELP` and one `# TYPE` line, then a [`sample`] per label set.
pub fn family(text: &mut String, name: &str, kind: Kind, help: &str) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    append(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

/// Appends one value of a metric. Label values are escaped; names must be valid as they are.
pub fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    text.push_str(name);
    for (i, (label, of)) in labels.iter().enumerate() {
        let before = if i == 0 { '{' } else { ',' };
        append(text, format_args!("{before}{label}=\"{}\"", Escaped(of)));
    }
    if !labels.is_empty() {
        text.push('}');
    }
    append(text, format_args!(" {value}\n"));
}

pub(super) fn page(sight: &dyn Sight) -> Response<Full<Bytes>> {
    let mut text = String::new();
    sight.metrics(&mut text);
    super::page(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into())
}

fn append(text: &mut String, line: fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = text.write_fmt(line);
}

/// A label's value: backslash, quote and line feed are escaped.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_help_type_and_one_line_per_label_set() {
        let mut text = String::new();
        family(&mut text, "egret_reloads_total", Kind::Counter, "Policy reloads by result.");
        sample(&mut text, "egret_reloads_total", &[("result", "good"), ("by", "a\"\\\nb")], 3);
        family(&mut text, "egret_calls", Kind::Gauge, "Calls in flight.");
        sample(&mut text, "egret_calls", &[], 0);
        assert_eq!(
            text,
            "# HELP egret_reloads_total Policy reloads by result.\n\
             # TYPE egret_reloads_total counter\n\
             egret_reloads_total{result=\"good\",by=\"a\\\"\\\\\\nb\"} 3\n\
             # HELP egret_calls Calls in flight.\n\
             # TYPE egret_calls gauge\n\
             egret_calls 0\n"
        );
    }
}
