//! The HTML report: one file that needs nothing else, in light and dark, on a screen or on paper.
//!
//! The plots are written as SVG whose colours are CSS classes, so that one plot serves both colour schemes,
//! and every mark has a title for the pointer. Lanes keep their colour throughout; no plot relies on colour
//! alone.

mod about;
mod axis;
mod bars;
mod beside;
mod bursts;
mod curves;
mod jobs;
mod ratios;
mod svg;

use crate::cache_bench::Results;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(crate) fn page(results: &Results) -> String {
    let body = [
        about::header(results),
        about::findings(results),
        about::doubts(results),
        beside::section(results),
        bursts::section(results),
        jobs::section(results),
        about::reading(results),
        about::environment(results),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>ringbd bench cache: {}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(&results.environment.date)
    )
}

/// Text as HTML and SVG take it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_nothing_from_outside() {
        let mut results = crate::cache_bench::sample::results(0.9);
        results.settings.image = "data/<script>".to_owned();
        let page = page(&results);
        for foreign in ["<script", "http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        for part in
            ["randread-qd32", "until durable", "beside the disk", "How to repeat it", "data/&lt;script&gt;"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;");
    }
}
