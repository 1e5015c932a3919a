//! Checks as JUnit XML, the form that CI systems show: one test case a rule.
//!
//! Source: the Ant JUnit report format as CI systems read it (`testsuites`, `testsuite`, `testcase`, `failure`).

use std::io::{self, Write};

use super::Checked;

/// Writes `checked`, the rules that the report called `subject` was held against.
///
/// # Errors
/// When writing fails.
pub fn write(checked: &[Checked], subject: &str, out: &mut dyn Write) -> io::Result<()> {
    let failures = checked.iter().filter(|rule| !rule.passed).count();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\"", checked.len());
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"tlscov check\" {counts}>")?;
    writeln!(out, "  <testsuite name=\"{}\" {counts}>", escaped(subject))?;
    for rule in checked {
        let name = escaped(&rule.name());
        let line = escaped(&rule.line);
        let start = format!("    <testcase classname=\"tlscov.{}\" name=\"{name}\"", rule.rule);
        match rule.passed {
            true => writeln!(out, "{start}/>")?,
            false => {
                writeln!(out, "{start}>")?;
                writeln!(out, "      <failure type=\"{}\" message=\"{line}\">{name}: {line}</failure>", rule.rule)?;
                writeln!(out, "    </testcase>")?;
            }
        }
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

/// Text as XML 1.0 allows it in content and attributes: what is no XML character becomes U+FFFD (section 2.2).
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            letter if letter.is_control() => xml.push('\u{fffd}'),
            letter => xml.push(letter),
        }
    }
    xml
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_its_line() {
        let checked = [
            Checked::new("max-unknown", true, "fine".to_owned()),
            Checked::new("no-plaintext", false, "<http> & \u{1b}\"more\"".to_owned()).about("any"),
        ];
        let mut out = Vec::new();
        write(&checked, "a<b>.json", &mut out).unwrap();
        let want = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <testsuites name=\"tlscov check\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">\n  \
            <testsuite name=\"a&lt;b&gt;.json\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">\n    \
            <testcase classname=\"tlscov.max-unknown\" name=\"max-unknown\"/>\n    \
            <testcase classname=\"tlscov.no-plaintext\" name=\"no-plaintext any\">\n      \
            <failure type=\"no-plaintext\" message=\"&lt;http&gt; &amp; \u{fffd}&quot;more&quot;\">no-plaintext any: \
            &lt;http&gt; &amp; \u{fffd}&quot;more&quot;</failure>\n    </testcase>\n  </testsuite>\n</testsuites>\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
