use std::fmt::Display;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// What a command tells: lines for people, JSON for machines.
#[derive(Debug)]
pub(crate) struct Outcome {
    lines: Vec<String>,
    json: Value,
}

impl Outcome {
    pub(super) fn new(value: &impl Serialize) -> Result<Self> {
        Ok(Self {
            lines: Vec::new(),
            json: serde_json::to_value(value)?,
        })
    }

    /// Adds a line for people.
    pub(super) fn line(mut self, label: &str, value: &impl Display) -> Self {
        self.lines.push(format!("{label:<14} {value}"));
        self
    }

    /// Says to people what to do next.
    pub(super) fn next(mut self, what: impl Display) -> Self {
        self.lines.push(format!("{:<14} {what}", "next"));
        self
    }

    pub(crate) fn show(&self, json: bool) -> String {
        if json {
            self.json.to_string()
        } else {
            self.lines.join("\n")
        }
    }
}
