//! A run: which servers, how often, and what came of it.

use std::path::Path;

use anyhow::Context;
use rig::cores::Cores;
use rig::interrupt;
use rig::report::{Sample, Section};
use serde_json::json;

use crate::servers::Kind;

pub struct Bench {
    pub cores: Cores,
    pub repetitions: usize,
    pub quick: bool,
    /// In this order; every repetition begins with another one.
    pub kinds: Vec<Kind>,
    pub sections: Vec<Section>,
}

impl Bench {
    /// The larger one, or the other in a smoke run.
    pub fn usual<T>(&self, usual: T, quick: T) -> T {
        if self.quick { quick } else { usual }
    }

    /// So many events, or a fifth of them in a smoke run, which has a minute for everything.
    pub fn events(&self, rate: u64, seconds: u64) -> u64 {
        self.usual(rate * seconds, (rate * seconds / 5).max(1))
    }

    /// The hub's two ways out, as far as they were asked for and are there.
    pub fn hubs(&self) -> Vec<Kind> {
        self.kinds.iter().copied().filter(|kind| kind.is_hub() && kind.missing().is_none()).collect()
    }

    /// Measures every server as often as was asked for, taking turns, and compares `figures` with those of a
    /// baseline.
    ///
    /// # Errors
    /// When one of our own servers fails. The failure of another is a note beside its figures.
    pub fn interleave(
        &mut self,
        title: &str,
        figures: &[(&str, Kind)],
        mut measure: impl FnMut(&Self, Kind) -> anyhow::Result<Sample>,
    ) -> anyhow::Result<()> {
        let mut section = Section::new(title);
        let kinds = self.kinds.clone();
        for kind in &kinds {
            section.expect(kind.name());
            if let Some(why) = kind.missing() {
                section.excuse(kind.name(), why);
            }
        }
        for repetition in 0..self.repetitions {
            let first = repetition % kinds.len().max(1);
            for kind in kinds[first..].iter().chain(&kinds[..first]) {
                interrupt::check()?;
                if kind.missing().is_some() {
                    continue;
                }
                match measure(self, *kind) {
                    Ok(sample) => section.note(kind.name(), sample),
                    Err(error) if kind.is_ours() || interrupt::check().is_err() => {
                        println!("Before this failed:\n\n{section}");
                        return Err(error).with_context(|| format!("{title}, {}", kind.name()));
                    }
                    Err(error) => section.excuse(kind.name(), format!("{error:#}")),
                }
            }
        }
        for (figure, baseline) in figures {
            section.compare(figure, baseline.name());
        }
        self.show(section);
        Ok(())
    }

    pub fn show(&mut self, section: Section) {
        println!("{section}");
        self.sections.push(section);
    }

    /// Writes everything to a file.
    pub fn write_json(&self, file: &Path) -> anyhow::Result<()> {
        let sections: Vec<_> = self.sections.iter().map(Section::json).collect();
        let all = json!({
            "cores": self.cores.describe(), "repetitions": self.repetitions, "quick": self.quick,
            "sections": sections,
        });
        std::fs::write(file, format!("{all:#}\n")).with_context(|| format!("cannot write {}", file.display()))
    }
}
