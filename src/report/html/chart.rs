//! Charts as SVG, each with its title, its description and the table behind it.
//!
//! Places across are percentages and places down are pixels, so a chart fills whatever width it is given and its letters
//! stay as large as the page's. Colours are classes of the style sheet.

use std::fmt::Write as _;

use minijinja::Value;
use serde::Serialize;

/// A chart.
#[derive(Serialize)]
pub(super) struct Figure {
    pub title: String,
    pub note: String,
    pub svg: Value,
    pub legend: Vec<Legend>,
    pub table: Table,
}

/// What a colour means, and its figure.
#[derive(Serialize)]
pub(super) struct Legend {
    pub kind: &'static str,
    pub label: String,
    pub value: String,
    pub more: String,
}

/// The figures of a chart.
#[derive(Serialize)]
pub(super) struct Table {
    pub caption: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { caption: caption.to_owned(), head: head.iter().map(|name| (*name).to_owned()).collect(), rows }
    }
}

/// One bar of several parts, or of one.
pub(super) struct Bar {
    pub label: String,
    /// The figure at the right end.
    pub value: String,
    /// What follows it where there is room.
    pub more: String,
    pub parts: Vec<Part>,
}

/// A part of a bar.
pub(super) struct Part {
    /// Class of the style sheet.
    pub kind: &'static str,
    /// What it is called when pointed at.
    pub label: String,
    /// Its size; a bar is as long as `whole` of its chart.
    pub amount: u64,
}

impl Part {
    pub fn new(kind: &'static str, label: &str, amount: u64) -> Self {
        Self { kind, label: label.to_owned(), amount }
    }
}

/// A span of shares marked beside the coverage bar.
pub(super) struct Span {
    pub text: String,
    pub from: f64,
    pub to: f64,
}

/// Bars below each other, each with its name above it. Without `whole`, every bar has full length.
pub(super) fn bars(id: &str, title: &str, description: &str, bars: &[Bar], whole: Option<u64>) -> Value {
    let labels: Vec<_> = bars.iter().map(|bar| halves(&bar.label)).collect();
    // A chart with long names has room for two lines above each bar.
    let above = if labels.iter().any(|(_, second)| !second.is_empty()) { LINE } else { 0 };
    let thick = if bars.len() == 1 { 2 * THICK } else { THICK };
    let row = above + 32 + thick;
    let mut body = String::new();
    for (place, (bar, (first, second))) in bars.iter().zip(labels).enumerate() {
        let top = place as u64 * row;
        let (y, bar_y) = (top + above + 14, top + above + 22);
        let _ = match second.as_str() {
            "" => write!(body, "<text y=\"{y}\">{first}</text>"),
            second => write!(
                body,
                "<text class=\"wide\" y=\"{y}\">{first}{second}</text><text class=\"narrow\" y=\"{}\">{first}\
                 <tspan x=\"0\" dy=\"{LINE}\">{second}</tspan></text>",
                y - LINE
            ),
        };
        let more = if bar.more.is_empty() { String::new() } else { format!(" · {}", escape(&bar.more)) };
        let _ = write!(
            body,
            "<text class=\"value\" x=\"100%\" y=\"{y}\">{}<tspan class=\"more\">{more}</tspan></text>\
             <rect class=\"track\" y=\"{bar_y}\" width=\"100%\" height=\"{thick}\"/>",
            escape(&bar.value),
        );
        let whole = whole.unwrap_or_else(|| bar.parts.iter().map(|part| part.amount).sum());
        body += &parts(&bar.parts, whole, bar_y, thick);
    }
    svg(id, title, description, (bars.len() as u64 * row).saturating_sub(10), &body)
}

/// The coverage bar: its parts, the bounds above and the error bar below.
pub(super) fn coverage(
    id: &str,
    title: &str,
    description: &str,
    bar: &[Part],
    above: &Span,
    below: Option<&Span>,
) -> Value {
    const TOP: u64 = 34;
    const HIGH: u64 = 60;
    let whole: u64 = bar.iter().map(|part| part.amount).sum();
    let mut body = parts(bar, whole, TOP, HIGH);
    for (part, (from, width)) in bar.iter().zip(places(bar, whole)) {
        if width >= 14.0 {
            let share = super::super::number::percent(super::super::ratio(part.amount, whole));
            let _ = write!(
                body,
                "<text class=\"in middle {}\" x=\"{:.2}%\" y=\"{}\">{share}</text>",
                part.kind,
                from + width / 2.0,
                TOP + HIGH / 2 + 5
            );
        }
    }
    body += &bracket(above, 26, 14, 6);
    body += &below.map(|span| bracket(span, TOP + HIGH + 10, TOP + HIGH + 30, -6)).unwrap_or_default();
    svg(id, title, description, TOP + HIGH + if below.is_some() { 38 } else { 2 }, &body)
}

/// One interval of a timeline.
pub(super) struct Moment {
    /// Where it stands, counted in intervals from the first.
    pub place: u64,
    /// What it is called when pointed at.
    pub label: String,
    /// Its parts, the lowest first.
    pub parts: Vec<Part>,
}

/// Columns over time: shares above, amounts below. Moments that are missing stay empty.
pub(super) fn timeline(id: &str, title: &str, description: &str, moments: &[Moment], axis: [&str; 2]) -> Value {
    // Room for the label above the uppermost line.
    const TOP: u64 = 18;
    const SHARES: u64 = 180;
    const AMOUNTS: u64 = 44;
    const BASE: u64 = TOP + SHARES + 26 + AMOUNTS;
    let count = moments.last().map_or(1, |last| last.place + 1);
    let step = 100.0 / count as f64;
    let sum = |moment: &Moment| moment.parts.iter().map(|part| part.amount).sum::<u64>();
    let most = moments.iter().map(sum).max().unwrap_or(0).max(1);
    let mut body = String::new();
    // The columns would stand on letters at the lines below.
    let _ = write!(body, "<text class=\"axis\" y=\"{}\">100%</text>", TOP - 3);
    for y in [TOP, TOP + SHARES / 2, TOP + SHARES] {
        let _ = write!(body, "<line class=\"rule\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>");
    }
    for moment in moments {
        let whole = sum(moment);
        if whole == 0 {
            continue;
        }
        let x = moment.place as f64 * step;
        let width = (step * 0.9).max(0.05);
        let _ = write!(body, "<g><title>{}</title>", escape(&moment.label));
        let mut y = (TOP + SHARES) as f64;
        for part in moment.parts.iter().filter(|part| part.amount > 0) {
            let high = part.amount as f64 / whole as f64 * SHARES as f64;
            y -= high;
            let _ = write!(
                body,
                "<rect class=\"{}\" x=\"{x:.3}%\" y=\"{y:.1}\" width=\"{width:.3}%\" height=\"{high:.1}\"/>",
                part.kind
            );
        }
        let high = (whole as f64 / most as f64 * AMOUNTS as f64).max(1.0);
        let _ = write!(
            body,
            "<rect class=\"accent\" x=\"{x:.3}%\" y=\"{:.1}\" width=\"{width:.3}%\" height=\"{high:.1}\"/></g>",
            BASE as f64 - high
        );
    }
    let [first, last] = axis.map(escape);
    let _ = write!(
        body,
        "<text class=\"axis\" y=\"{}\">amount</text><line class=\"rule\" x1=\"0\" x2=\"100%\" y1=\"{BASE}\" y2=\"{BASE}\"/>\
         <text class=\"axis\" y=\"{}\">{first}</text><text class=\"axis end\" x=\"100%\" y=\"{}\">{last}</text>",
        BASE - AMOUNTS - 6,
        BASE + 16,
        BASE + 16,
    );
    svg(id, title, description, BASE + 20, &body)
}

/// Text without what HTML and SVG read as markup.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '&' => safe += "&amp;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            letter => safe.push(letter),
        }
    }
    safe
}

/// Distance from a line of a name to the next. Unit: pixels.
const LINE: u64 = 15;
/// Thickness of a bar. Unit: pixels.
const THICK: u64 = 12;
/// A part that is not zero is at least this wide. Unit: percent.
const THINNEST: f64 = 0.4;

/// A name, escaped; one that may be too long for a phone in two halves, and one too long for anything cut.
fn halves(name: &str) -> (String, String) {
    const LONGEST: usize = 52;
    let mut name: String = name.to_owned();
    if let Some((end, _)) = name.char_indices().nth(LONGEST) {
        name.truncate(end);
        name.push('…');
    }
    let Some(middle) = end_of_line(&name) else { return (escape(&name), String::new()) };
    let cut = name.find("_WITH_").map(|with| with + "_WITH_".len());
    let cut = cut.or_else(|| name.get(..middle)?.rfind(['_', ' ', '-']).map(|separator| separator + 1));
    let (first, second) = name.split_at(cut.unwrap_or(middle));
    (escape(first), escape(second))
}

/// Where a name is as long as a line on a phone may be; `None` when it ends before. Letters are taken as wide as those of
/// common fonts, which is as near as a page without a script comes.
fn end_of_line(name: &str) -> Option<usize> {
    const LINE: u32 = 252;
    let width = |letter: char| match letter {
        'a'..='z' | ' ' | ',' | '-' | '.' => 7,
        '\u{2e80}'.. => 14,
        _ => 9,
    };
    let mut used = 0;
    name.char_indices()
        .find(|(_, letter)| {
            used += width(*letter);
            used > LINE
        })
        .map(|(place, _)| place)
}

fn svg(id: &str, title: &str, description: &str, height: u64, body: &str) -> Value {
    Value::from_safe_string(format!(
        "<svg role=\"img\" aria-labelledby=\"{id}-name {id}-about\" width=\"100%\" height=\"{height}\">\
         <title id=\"{id}-name\">{}</title><desc id=\"{id}-about\">{}</desc>{body}</svg>",
        escape(title),
        escape(description)
    ))
}

fn parts(parts: &[Part], whole: u64, y: u64, height: u64) -> String {
    let mut body = String::new();
    for (part, (from, width)) in parts.iter().zip(places(parts, whole)) {
        if width > 0.0 {
            let _ = write!(
                body,
                "<rect class=\"{}\" x=\"{from:.2}%\" y=\"{y}\" width=\"{width:.2}%\" height=\"{height}\"><title>{}</title></rect>",
                part.kind,
                escape(&part.label)
            );
        }
    }
    body
}

/// Where each part begins and how wide it is, in percent. What thin parts are given more than their due is taken from the
/// widest, so that the whole stays the whole.
fn places(parts: &[Part], whole: u64) -> Vec<(f64, f64)> {
    let exact = |part: &Part| if whole == 0 { 0.0 } else { part.amount as f64 * 100.0 / whole as f64 };
    let mut widths: Vec<f64> =
        parts.iter().map(|part| if part.amount == 0 { 0.0 } else { exact(part).max(THINNEST) }).collect();
    let given: f64 = widths.iter().sum::<f64>() - parts.iter().map(exact).sum::<f64>();
    if let Some(widest) = widths.iter_mut().max_by(|one, other| one.total_cmp(other)).filter(|_| parts.len() > 1) {
        *widest -= given;
    }
    let mut from = 0.0;
    widths
        .into_iter()
        .map(|width| {
            let place = (from, width);
            from += width;
            place
        })
        .collect()
}

/// A line from one share to another at `y`, with feet towards the bar and its text at `text_y`.
fn bracket(span: &Span, y: u64, text_y: u64, foot: i64) -> String {
    let (from, to) = (span.from * 100.0, span.to * 100.0);
    let end = y as i64 + foot;
    // Letters go to the side that has more room.
    let (anchor, at) = if from + to < 100.0 { ("", from) } else { (" end", to) };
    format!(
        "<line class=\"bound\" x1=\"{from:.2}%\" x2=\"{to:.2}%\" y1=\"{y}\" y2=\"{y}\"/>\
         <line class=\"bound\" x1=\"{from:.2}%\" x2=\"{from:.2}%\" y1=\"{y}\" y2=\"{end}\"/>\
         <line class=\"bound\" x1=\"{to:.2}%\" x2=\"{to:.2}%\" y1=\"{y}\" y2=\"{end}\"/>\
         <text class=\"mark{anchor}\" x=\"{at:.2}%\" y=\"{text_y}\">{}</text>",
        escape(&span.text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar_and_none_vanishes() {
        let cases: [(&str, &[u64], u64, &[f64]); 5] = [
            ("halves", &[5, 5], 10, &[50.0, 50.0]),
            ("a thin part takes from the widest", &[1, 999_999], 1_000_000, &[0.4, 99.6]),
            ("nothing is nothing", &[0, 7], 7, &[0.0, 100.0]),
            ("a part of a longer whole", &[1], 4, &[25.0]),
            ("no whole", &[0, 0], 0, &[0.0, 0.0]),
        ];
        for (name, amounts, whole, want) in cases {
            let parts: Vec<_> = amounts.iter().map(|amount| Part::new("strong", "", *amount)).collect();
            let got = places(&parts, whole);
            for ((_, width), want) in got.iter().zip(want) {
                assert!((width - want).abs() < 1e-6, "{name}: {got:?}");
            }
        }
    }

    #[test]
    fn long_names_break_where_they_can() {
        let cases = [
            ("short", "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", ""),
            ("suite", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_", "AES_128_GCM_SHA256"),
            ("words that fit", "Encrypted Client Hello offered", "Encrypted Client Hello offered", ""),
            ("words", "a name of so many words & more words", "a name of so many words &amp; more ", "words"),
            ("no place to break", "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ", "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ", "Ä"),
        ];
        for (name, label, first, second) in cases {
            assert_eq!(halves(label), (first.to_owned(), second.to_owned()), "{name}");
        }
        let (first, second) = halves(&"x".repeat(500));
        assert!(second.ends_with('…') && first.len() + second.len() < 60, "{first} {second}");
    }

    #[test]
    fn gaps_of_a_timeline_stay_empty() {
        let moment = |place| Moment { place, label: format!("at {place}"), parts: vec![Part::new("encrypted", "", 1)] };
        let drawn = timeline("t", "Over time", "", &[moment(0), moment(9)], ["first", "last"]).to_string();
        assert_eq!(drawn.matches("class=\"encrypted\"").count(), 2);
        assert!(drawn.contains("class=\"encrypted\" x=\"90.000%\""), "{drawn}");
        assert!(timeline("t", "", "", &[], ["", ""]).to_string().starts_with("<svg"));
    }

    #[test]
    fn names_are_no_markup() {
        let bar = Bar {
            label: "</text><script>".to_owned(),
            value: "1 & 2".to_owned(),
            more: String::new(),
            parts: vec![Part::new("accent", "\"'>", 1)],
        };
        let drawn = bars("b", "<title>", "<desc>", &[bar], Some(1)).to_string();
        assert!(
            !drawn.contains("<script") && drawn.contains("1 &amp; 2") && drawn.contains("&quot;&#39;&gt;"),
            "{drawn}"
        );
        assert_eq!(drawn.matches("<title").count(), 2, "the chart's and the part's");
    }
}
