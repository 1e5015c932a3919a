//! A series of reports as a page.

use minijinja::Value;
use serde::Serialize;

use super::super::definition::Definition;
use super::super::number::{bytes, counted, percent};
use super::super::trend::{Point, step};
use super::chart::{self, Bar, Figure, Part, Table};
use super::page::{self, Entry};

/// Everything that the template shows.
#[derive(Serialize)]
pub(super) struct TrendPage {
    css: Value,
    title: String,
    tool: String,
    amount: String,
    period: String,
    share: Option<String>,
    overall: String,
    series: Figure,
    steps: Vec<Step>,
    others: Vec<Figure>,
    definition: Vec<Entry>,
    fingerprint: String,
}

#[derive(Serialize)]
struct Step {
    when: String,
    words: String,
    report: String,
}

/// Reports that are shown; of a longer series the latest.
const MOST: usize = 120;

impl TrendPage {
    /// The page of a series, oldest first, made by `definition`.
    pub fn new(all: &[Point], definition: &Definition) -> Self {
        let points = all.get(all.len().saturating_sub(MOST)..).unwrap_or_default();
        let last = points.last();
        let overall = match points {
            [first, .., last] => {
                let words = step(&first.encrypted_share, &last.encrypted_share);
                format!("{}: {words}.", page::capital("over the whole series"))
            }
            _ => "One report is no series yet.".to_owned(),
        };
        let share = last.and_then(|point| point.encrypted_share.value).map(|share| percent(Some(share)));
        Self {
            css: super::style(),
            title: format!("Encrypted share over {}", counted(all.len() as u64, "report")),
            tool: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            amount: match all.len() - points.len() {
                0 => counted(all.len() as u64, "report"),
                left => format!("The latest {} of {} reports", points.len(), left + points.len()),
            },
            period: match points {
                [first, .., last] => format!("{} to {}", day(first), day(last)),
                _ => String::new(),
            },
            share,
            overall,
            series: series(points),
            steps: points.windows(2).filter_map(a_step).collect(),
            others: others(points),
            definition: page::entries(definition),
            fingerprint: page::fingerprint(definition),
        }
    }
}

fn day(point: &Point) -> String {
    point.first.as_deref().map_or("no time", |time| time.get(..10).unwrap_or(time)).to_owned()
}

fn label(point: &Point) -> String {
    format!("{} · {}", day(point), page::clipped(&point.report))
}

fn a_step(pair: &[Point]) -> Option<Step> {
    let [before, after] = pair else { return None };
    let words = page::capital(&step(&before.encrypted_share, &after.encrypted_share));
    Some(Step { when: day(after), words, report: page::clipped(&after.report) })
}

fn series(points: &[Point]) -> Figure {
    let rows: Vec<_> = points
        .iter()
        .map(|point| {
            let share = &point.encrypted_share;
            (label(point), [share.value, share.lower, share.upper])
        })
        .collect();
    let table = points.iter().map(|point| {
        let share = &point.encrypted_share;
        let interval = share.ci95.map(|[low, high]| format!("{} to {}", percent(Some(low)), percent(Some(high))));
        let shares = [share.value, share.lower, share.upper].map(percent);
        let rest = [interval.unwrap_or_else(|| "–".to_owned()), bytes(point.wire_bytes)];
        [label(point)].into_iter().chain(shares).chain(rest).collect()
    });
    let head = ["Report", "Encrypted share", "At least", "At most", "95% interval", "Amount"];
    let table = Table::new("Encrypted share of each report", &head, table.collect());
    page::share_figure("series", "Encrypted share by report", "By wire bytes, or its bounds.", &rows, table)
}

/// Web share, and weak share under each policy, where a report has one.
fn others(points: &[Point]) -> Vec<Figure> {
    let share = |title: String, id: String, of: &dyn Fn(&Point) -> Option<f64>, kind: &'static str| {
        let shares: Vec<_> = points.iter().filter_map(|point| Some((label(point), of(point)?))).collect();
        let bars: Vec<_> = shares
            .iter()
            .map(|(label, share)| Bar {
                label: label.clone(),
                value: percent(Some(*share)),
                more: String::new(),
                parts: vec![Part::new(kind, &percent(Some(*share)), (share * 1e6).round() as u64)],
            })
            .collect();
        let rows = shares.iter().map(|(label, share)| vec![label.clone(), percent(Some(*share))]);
        let about: Vec<_> = shares.iter().map(|(label, share)| format!("{label} {}", percent(Some(*share)))).collect();
        (!bars.is_empty()).then(|| Figure {
            note: "By wire bytes.".to_owned(),
            svg: chart::bars(&id, &title, &format!("{}.", about.join(", ")), &bars, Some(1_000_000)),
            legend: Vec::new(),
            table: Table::new(&title, &["Report", "Share"], rows.collect()),
            title,
        })
    };
    let web = share("Web share".to_owned(), "web".to_owned(), &|point| point.web_share, "accent");
    let policies = points.first().map(|point| point.weak_share.as_slice()).unwrap_or_default();
    let weak = policies.iter().enumerate().filter_map(|(place, policy)| {
        let title = format!("Weak or broken under {}", policy.policy);
        share(title, format!("weak-{place}"), &|point| point.weak_share.get(place)?.share, "broken")
    });
    web.into_iter().chain(weak).collect()
}
