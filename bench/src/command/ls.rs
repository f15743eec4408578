//! `ringbd ls`, with the table of `rbd ls -l`.

use std::fmt::Write as _;

use ringbd::store::{ImageRecord, OpenMode};
use serde::Serialize;

use super::{info, print, print_json};
use crate::cli::{Format, Global};
use crate::failure::Failure;
use crate::session::{Session, pool_failure};
use crate::size::human;

/// List the images of a pool.
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// The pool
    #[arg(value_name = "POOL[/NAMESPACE]", default_value = "rbd")]
    pool: String,
    /// Sizes and more
    #[arg(long, short)]
    long: bool,
}

/// A row as `rbd ls -l --format json` shows it.
#[derive(Debug, Serialize)]
struct Row {
    image: String,
    id: String,
    size: u64,
    format: u8,
}

impl Ls {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::on_store(global)?;
        let store = session.open_store(OpenMode::ReadOnly)?;
        let (pool, namespace) = self.pool.split_once('/').unwrap_or((&self.pool, ""));
        let images = store.images(pool, namespace).map_err(|error| pool_failure(pool, &error))?;
        match (global.format, self.long) {
            (Format::Json, true) => print_json(&images.iter().map(Row::of).collect::<Vec<_>>()),
            (Format::Json, false) => print_json(&images.iter().map(|image| &image.name).collect::<Vec<_>>()),
            (Format::Plain, true) => print(&table(&images)),
            (Format::Plain, false) => {
                print(&images.iter().fold(String::new(), |text, image| text + &image.name + "\n"))
            }
        }
    }
}

impl Row {
    fn of(record: &ImageRecord) -> Row {
        Row { image: record.name.clone(), id: info::id(record), size: record.size, format: 2 }
    }
}

/// Columns two spaces apart, as `rbd` prints them.
fn table(images: &[ImageRecord]) -> String {
    let mut rows = vec![["NAME", "SIZE", "PARENT", "FMT", "PROT", "LOCK"].map(str::to_owned)];
    rows.extend(images.iter().map(|image| {
        [image.name.clone(), human(image.size), String::new(), "2".to_owned(), String::new(), String::new()]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "{cell:width$}  ").expect("writing to a String cannot fail");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
