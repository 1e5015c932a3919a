//! The report as a page: one HTML file with its own styles and charts, no script and no network.
//!
//! [`page`] says what stands on it, [`chart`] draws, `report.html` and `report.css` are how it looks. Names from captures
//! are hostile input: the template escapes every text, the charts escape theirs, and a content security policy forbids the
//! page to load or run anything even so.

mod chart;
mod page;
mod timeline;

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};

use super::Report;
use page::Page;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    let page = templates
        .template_from_named_str("report.html", include_str!("report.html"))
        .and_then(|template| template.render(Serde(Page::new(report))))
        .map_err(io::Error::other)?;
    // Control characters are no text in HTML, and stray ones would end up in the terminal of who looks at the source.
    let page: String = page.chars().map(|letter| if stray(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect();
    out.write_all(page.as_bytes())?;
    out.write_all(b"\n")
}

fn stray(letter: char) -> bool {
    letter.is_control() && letter != '\n'
}
