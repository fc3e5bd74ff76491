//! The rows, what each must reach, and how they are printed.

use crate::pairs::Measured;

/// What a ratio must reach.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

use Target::{AtLeast, AtMost};

/// Every row, in the order in which they are measured.
pub const TARGETS: [(&str, Target); 30] = [
    ("verify.hot", AtMost(2.2)),
    ("verify.hot.allocs", AtMost(0.0)),
    ("verify.peer", AtMost(0.5)),
    ("verify.1e3", AtMost(1.3)),
    ("verify.1e6", AtMost(1.3)),
    ("verify.threads", AtLeast(0.9)),
    ("verify.threads.hot", AtLeast(0.9)),
    ("reject.checksum", AtMost(0.5)),
    ("memory.token", AtMost(400.0)),
    ("http.axum", AtLeast(0.97)),
    ("http.axum.1k", AtLeast(0.93)),
    ("http.actix", AtLeast(0.97)),
    ("http.actix.1k", AtLeast(0.93)),
    ("http.p99", AtMost(1.10)),
    ("naive.sqlite", AtLeast(8.0)),
    ("naive.postgres", AtLeast(28.0)),
    ("cold.sqlite", AtMost(1.15)),
    ("cold.postgres", AtMost(1.15)),
    ("cold.mariadb", AtMost(1.15)),
    ("cold.sqlite.statements", AtMost(1.0)),
    ("cold.postgres.statements", AtMost(1.0)),
    ("cold.mariadb.statements", AtMost(1.0)),
    ("cold.storm", AtLeast(4.0)),
    ("flush.sqlite", AtLeast(15.0)),
    ("flush.postgres", AtLeast(30.0)),
    ("scale.list.sqlite", AtMost(3.0)),
    ("scale.list.postgres", AtMost(3.0)),
    ("scale.store.sqlite", AtMost(1.3)),
    ("scale.store.postgres", AtMost(1.3)),
    ("screen.render", AtMost(5.0)),
];

/// What was measured under one name.
#[derive(Debug, Clone)]
pub struct Row {
    name: &'static str,
    ours: String,
    reference: String,
    ratio: f64,
    notes: Vec<String>,
}

impl Row {
    /// A row of these figures, with what they are measured in.
    #[must_use]
    pub fn new(name: &'static str, unit: &str, measured: Measured) -> Row {
        let figure = |figure: f64| format!("{} {unit}", figure_of(figure));
        let (ours, reference) = (figure(measured.ours), figure(measured.reference));
        Row { name, ours, reference, ratio: measured.ratio, notes: Vec::new() }
    }

    /// A row of a figure that is its own ratio.
    #[must_use]
    pub fn plain(name: &'static str, unit: &str, figure: f64) -> Row {
        let ours = format!("{} {unit}", figure_of(figure));
        Row { name, ours, reference: "-".to_owned(), ratio: figure, notes: Vec::new() }
    }

    /// With something beside it that is worth knowing.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Row {
        self.notes.push(note.into());
        self
    }

    /// Prints the row, and its notes below it.
    pub fn print(&self) {
        let target = TARGETS.iter().find(|(name, _)| *name == self.name).map(|(_, target)| *target);
        let (target, verdict) = match target {
            Some(AtMost(most)) => (format!("<= {most}"), self.ratio <= most),
            Some(AtLeast(least)) => (format!(">= {least}"), self.ratio >= least),
            None => ("none".to_owned(), true),
        };
        let verdict = if verdict { "ok" } else { "SHORT" };
        let Row { name, ours, reference, ratio, .. } = self;
        say(&format!("{name:<26} {ours:>14} {reference:>14} {:>9}  {target:<8} {verdict}", figure_of(*ratio)));
        self.notes.iter().for_each(|note| say(&format!("    {note}")));
    }
}

/// The line above the rows.
pub fn head() {
    say(&format!("{:<26} {:>14} {:>14} {:>9}  {:<8}", "name", "ours", "reference", "ratio", "target"));
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "what this package is for")]
pub fn say(line: &str) {
    println!("{line}");
}

/// With as many digits as mean something.
#[must_use]
pub fn figure_of(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{figure:.3}"),
        size if size < 1000.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
