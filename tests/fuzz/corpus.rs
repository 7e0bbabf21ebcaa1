//! What inputs are made of.

use std::fs;
use std::path::Path;

use egret::random::Random;
use serde_json::Value;

/// So many inputs that said something are kept beside the samples.
const MOST: usize = 2_000;
/// No larger one is kept.
const LARGEST: usize = 64 * 1024;

pub(crate) struct Corpus {
    pub(crate) inputs: Vec<Vec<u8>>,
    /// Those that are JSON; parts of others come from here.
    pub(crate) values: Vec<Value>,
    samples: usize,
}

impl Corpus {
    /// All files of `tests/samples` and `tests/fixtures`, and of those of several values each value.
    pub(crate) fn of_samples() -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let mut inputs = vec![];
        for directory in ["samples", "fixtures"] {
            read(&tests.join(directory), &mut inputs);
        }
        let values = inputs.iter().filter_map(|input| serde_json::from_slice(input).ok()).collect();
        let samples = inputs.len();
        assert!(samples > 0, "there are no samples");
        Self { inputs, values, samples }
    }

    /// Keeps an input that said something, in place of another where there are many.
    pub(crate) fn note(&mut self, input: Vec<u8>, said: bool, random: &Random) {
        if !said || input.len() > LARGEST {
            return;
        }
        if self.inputs.len() < self.samples + MOST {
            self.inputs.push(input);
        } else {
            let place = self.samples + below(random, MOST);
            self.inputs[place] = input;
        }
    }

    pub(crate) fn input(&self, random: &Random) -> &[u8] {
        &self.inputs[below(random, self.inputs.len())]
    }

    pub(crate) fn value(&self, random: &Random) -> &Value {
        &self.values[below(random, self.values.len())]
    }
}

/// A number below this one, or 0.
pub(crate) fn below(random: &Random, end: usize) -> usize {
    usize::try_from(random.u64() % (end.max(1) as u64)).unwrap()
}

fn read(directory: &Path, inputs: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The order of a directory is no one's.
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read(&path, inputs);
            continue;
        }
        let content = fs::read(&path).unwrap();
        for line in content.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = line.strip_prefix(b"data: ").unwrap_or(line);
            let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
            if value.is_object() {
                // Errors are written with their status and headers.
                inputs.extend(value.get("body").map(|body| body.to_string().into_bytes()));
                inputs.push(line.to_vec());
            }
        }
        inputs.push(content);
    }
}
