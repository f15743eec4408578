//! The objects of a pool.

use ringbd::rados::{IoCtx, Need};
use serde::Serialize;

use super::super::{print, print_json};
use crate::cli::Format;
use crate::failure::Failure;

#[derive(Serialize)]
struct Entry {
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    locator: String,
}

/// Prints each page as it comes; JSON needs them all.
pub(super) async fn list(io: &IoCtx, all: bool, format: Format) -> Result<(), Failure> {
    let mut listing = if all { io.list_all_namespaces() } else { io.list() };
    let mut entries = Vec::new();
    loop {
        let page = listing.page().await;
        let page = match page {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) => {
                let error = io.explain(error, "list", Need::Read, b"").await;
                return Err(Failure::of("error listing", &error));
            }
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let page = page.iter().map(|object| Entry {
            namespace: text(&object.namespace),
            name: text(&object.name),
            locator: text(&object.key),
        });
        match format {
            Format::Json => entries.extend(page),
            Format::Plain => print(&page.map(|entry| entry.line(all)).collect::<String>())?,
        }
    }
    match format {
        Format::Json => print_json(&entries),
        Format::Plain => Ok(()),
    }
}

impl Entry {
    fn line(&self, all: bool) -> String {
        let Entry { namespace, name, locator } = self;
        let before = if all { format!("{namespace}\t") } else { String::new() };
        let behind = if locator.is_empty() { String::new() } else { format!("\t{locator}") };
        format!("{before}{name}{behind}\n")
    }
}
