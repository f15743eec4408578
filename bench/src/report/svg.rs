//! A drawing, element by element. Colours and fonts come from the page's style sheet, by class.

use std::fmt::Write as _;

use super::escape;

/// An SVG under construction.
#[derive(Debug)]
pub(super) struct Drawing {
    width: f64,
    height: f64,
    description: String,
    body: String,
}

/// Which end of a text stands at its position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    /// An empty drawing; `description` is for those who cannot see it.
    pub(super) fn new(width: f64, height: f64, description: &str) -> Drawing {
        Drawing { width, height, description: description.to_owned(), body: String::new() }
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("writing to a String cannot fail");
        self.body.push('\n');
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.element(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// A rectangle with a text for the pointer.
    pub(super) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), title: &str) {
        let ((x, y), (width, height)) = (at, size);
        self.element(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}" rx="2">{}</rect>"#,
            width.max(0.0),
            title_element(title)
        ));
    }

    pub(super) fn dot(&mut self, class: &str, at: (f64, f64), title: &str) {
        let (x, y) = at;
        self.element(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="2.6">{}</circle>"#,
            title_element(title)
        ));
    }

    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let (x, y) = at;
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.element(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            escape(text)
        ));
    }

    /// A line through all points.
    pub(super) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.element(format_args!(r#"<polyline class="{class}" points="{}"/>"#, points.join(" ")));
    }

    /// The finished element.
    pub(super) fn finish(self) -> String {
        format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
            self.width,
            self.height,
            escape(&self.description),
            self.body
        )
    }
}

/// What the pointer shows.
fn title_element(title: &str) -> String {
    format!("<title>{}</title>", escape(title))
}
