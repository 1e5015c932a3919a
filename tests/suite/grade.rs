//! Suites and groups under every built-in policy, against figures that were worked out apart from the program.
//!
//! `grade_table.csv` holds the level of all 356 registered suites, each taken alone, under each policy. Where a published
//! rule or list says what it must be (RFC 10015, Mozilla, ciphersuite.info), a test works that out again from names.

use std::collections::BTreeSet;
use std::path::Path;

use tlscov::grade::registry::{self, Suite};
use tlscov::grade::{Level, Policy, builtin_names, diff, file, find_suite, grade_group, grade_suite};

fn registered() -> impl Iterator<Item = &'static Suite> {
    registry::suites().iter().filter(|suite| suite.registered)
}

fn level(policy: &Policy, suite: &Suite) -> Level {
    grade_suite(policy, suite, None).level
}

fn load(name: &str, date: Option<&str>) -> Policy {
    let policy = Policy::load(name).unwrap();
    date.map_or(policy.clone(), |date| policy.as_of(date.parse().unwrap()))
}

fn names_at(policy: &Policy, wanted: Level) -> BTreeSet<&'static str> {
    registered().filter(|suite| level(policy, suite) == wanted).map(|suite| suite.name).collect()
}

/// A changed row must be read before it is kept: the new table is written beside the build, never over the old one.
#[test]
fn table_of_all_suites() {
    let policies: Vec<Policy> = builtin_names().into_iter().map(|name| load(name, None)).collect();
    let mut table = format!("code,suite,{}\n", builtin_names().join(","));
    for suite in registered() {
        let levels: Vec<&str> = policies.iter().map(|policy| level(policy, suite).name()).collect();
        table.push_str(&format!("0x{:04X},{},{}\n", suite.code, suite.name, levels.join(",")));
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grade_table.csv");
    std::fs::write(&fresh, &table).unwrap();
    let kept = include_str!("grade_table.csv");
    let changed: Vec<_> = kept.lines().zip(table.lines()).filter(|(old, new)| old != new).take(10).collect();
    assert!(kept == table, "{} now holds other levels; first of them: {changed:#?}", fresh.display());
}

#[test]
fn mozilla_lists() {
    let tls13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
    let ecdhe = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ];
    let dhe = [
        "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ];
    let old_groups: &[&str] = &["x25519", "secp256r1", "secp384r1"];
    let new_groups: &[&str] = &["x25519mlkem768", "x25519", "secp256r1", "secp384r1"];
    type Case<'a> = (&'a str, &'a str, &'a str, Vec<&'static str>, &'a [&'a str]);
    let cases: [Case; 4] = [
        ("mozilla-modern", "2026-04-05", "5.7", tls13.to_vec(), old_groups),
        ("mozilla-modern", "2026-04-06", "6.0", tls13.to_vec(), new_groups),
        ("mozilla-intermediate", "2026-04-05", "5.7", [&tls13[..], &ecdhe, &dhe].concat(), old_groups),
        ("mozilla-intermediate", "2026-04-06", "6.0", [&tls13[..], &ecdhe].concat(), new_groups),
    ];
    for (name, date, version, suites, groups) in cases {
        let policy = load(name, Some(date));
        assert_eq!(policy.version(), version, "{name} {date}");
        assert_eq!(names_at(&policy, Level::Strong), suites.into_iter().collect(), "{name} {date}");
        assert_eq!(
            names_at(&policy, Level::Acceptable),
            BTreeSet::new(),
            "{name} {date}: listed or not, nothing between"
        );
        for group in registry::groups() {
            let listed = !grade_group(&policy, group.code)
                .rules
                .iter()
                .any(|place| policy.rules()[usize::from(*place)].id.starts_with("group-not-listed"));
            assert_eq!(listed, groups.contains(&group.name), "{name} {date} {}", group.name);
        }
    }
    assert_eq!(Policy::load("mozilla-modern").unwrap().version(), "6.0");
}

/// The assessment of ciphersuite.info, worked out from the words of a suite's name.
fn ciphersuite_info(name: &str) -> Level {
    let words: Vec<&str> = name.split('_').collect();
    let has = |word: &str| words.contains(&word);
    let tls13 = !name.contains("_WITH_") || name.contains("MGM");
    let (kex, hash) = (words[1], words[words.len() - 1]);
    let gost = name.contains("GOST");
    let no_encryption = has("NULL") || name.starts_with("TLS_SHA");
    let kex = if kex == "PSK" && has("DHE") { "DHE" } else { kex };
    let insecure = has("EXPORT") || has("anon") || has("RC4") || has("RC2") || has("SM4") || gost || no_encryption;
    if insecure || has("DES") || has("DES40") || hash == "MD5" || hash == "SM3" {
        return Level::Broken;
    }
    let not_ephemeral = ["RSA", "DH", "ECDH", "PSK", "KRB5", "NULL"].contains(&kex) && !tls13;
    if has("SHA") || has("3DES") || has("CBC") || not_ephemeral || kex == "DHE" {
        return Level::Weak;
    }
    let rsa_authentication = words[2] == "RSA";
    match (kex == "ECDHE" || tls13) && !rsa_authentication && !has("CCM") {
        true => Level::Strong,
        false => Level::Acceptable,
    }
}

#[test]
fn ciphersuite_info_grades() {
    let policy = load("ciphersuite-info", None);
    for suite in registered().filter(|suite| !suite.is_signal()) {
        assert_eq!(level(&policy, suite), ciphersuite_info(suite.name), "{}", suite.name);
    }
    let cases = [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Level::Acceptable),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Level::Strong),
        ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", Level::Weak),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CCM", Level::Acceptable),
        ("TLS_RSA_WITH_RC4_128_SHA", Level::Broken),
    ];
    for (name, want) in cases {
        assert_eq!(level(&policy, find_suite(name).unwrap()), want, "{name}");
    }
}

/// RFC 10015 by the prefixes of names that it speaks of.
#[test]
fn rfc10015_suites() {
    let forbidden = ["TLS_RSA_", "TLS_DHE_", "TLS_PSK_DHE_", "TLS_DH_"];
    let policy = load("bcp195", None);
    let before = load("bcp195", Some("2026-06-30"));
    for suite in registered() {
        let named = forbidden.iter().any(|prefix| suite.name.starts_with(prefix));
        assert_eq!(suite.rfc10015, named, "{}", suite.name);
        let cites = |policy: &Policy| {
            let rules = grade_suite(policy, suite, None).rules;
            rules.iter().any(|place| policy.rules()[usize::from(*place)].source.starts_with("RFC 10015"))
        };
        assert_eq!((cites(&before), cites(&policy)), (false, named), "{}", suite.name);
        if named {
            assert!(matches!(level(&policy, suite), Level::Weak | Level::Broken), "{}", suite.name);
        }
    }
}

#[test]
fn bcp195_levels() {
    let policy = load("bcp195", None);
    let strong = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ];
    assert_eq!(names_at(&policy, Level::Strong), strong.into_iter().collect());
    for suite in registered().filter(|suite| !suite.is_signal()) {
        let little = suite.bits < 112 || suite.cipher == "rc4" || suite.name.contains("anon");
        assert_eq!(level(&policy, suite) == Level::Broken, little, "{}", suite.name);
    }
    assert_eq!(
        names_at(&policy, Level::Ungraded),
        ["TLS_EMPTY_RENEGOTIATION_INFO_SCSV", "TLS_FALLBACK_SCSV"].into_iter().collect()
    );
}

#[test]
fn iana_marks() {
    let (before, after) = (load("iana", Some("2026-06-30")), load("iana", None));
    for suite in registered().filter(|suite| !suite.is_signal()) {
        let word = |policy: &Policy| match level(policy, suite) {
            Level::Strong => "Y",
            Level::Ungraded => "N",
            Level::Weak | Level::Broken => "D",
            Level::Acceptable => "no such mark",
        };
        assert_eq!(word(&before), suite.recommended, "{}", suite.name);
        assert_eq!(word(&after), if suite.rfc10015 { "D" } else { suite.recommended }, "{}", suite.name);
    }
    for group in registry::groups() {
        let discouraged = grade_group(&after, group.code).level == Level::Weak;
        assert_eq!(discouraged, group.recommended == "D", "{}", group.name);
    }
}

#[test]
fn differences_are_what_both_say() {
    let (a, b) = (load("bcp195", None), load("cnsa-1.0", None));
    let rows = diff(&a, &b);
    assert!(diff(&a, &a).is_empty());
    assert!(rows.iter().any(|row| row.name == "TLS_AES_128_GCM_SHA256" && row.second.level == Level::Weak));
    assert!(rows.iter().any(|row| row.name == "x25519" && row.second.level == Level::Weak));
    assert!(rows.iter().all(|row| row.name != "TLS_AES_256_GCM_SHA384"));
}

#[test]
fn built_in_files_fit_the_schema() {
    let schema = serde_json::to_value(file::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grade/policies");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let value: serde_json::Value = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        count += 1;
    }
    assert_eq!(count, builtin_names().len() + 4, "policies, and the four parts that they share");
}

/// A policy that is right, to be spoilt in one place.
const GOOD: &str = r#"name = "house"
inherits = "bcp195"

[[edition]]
version = "1"
from = "2026-01-01"

[[rule]]
id = "no-cbc"
level = "weak"
when = { mode = ["cbc"], bits = { min = 128 } }
unless = { encrypt_then_mac = true }
reason = "House rule."
source = "House, section 1"
from = "2026-02-01"
"#;

#[test]
fn twenty_mistakes() {
    let cases: &[(&str, &str, &str)] = &[
        (
            r#"name = "house""#,
            r#"name = "House""#,
            "line 1, column 8: name: `House` must be 1 to 80 lower case letters",
        ),
        (r#"name = "house""#, r#"title = "house""#, "line 1, column 1: unknown field `title`"),
        (r#"name = "house""#, r#"nome = "house"#, "line 1, column 14"),
        (r#"inherits = "bcp195""#, r#"inherits = "bcp-195""#, "line 2, column 12: inherits: "),
        (
            r#"inherits = "bcp195""#,
            r#"inherits = "self.toml""#,
            "line 2, column 12: inherits: more than 8 policies deep",
        ),
        (r#"inherits = "bcp195""#, r#"silent = "strong""#, "line 2, column 10: silent: `strong` is not"),
        (
            r#"inherits = "bcp195""#,
            r#"protocols = ["tcp"]"#,
            "line 2, column 14: protocols: `tcp` is not known; expected one of",
        ),
        (
            "[[edition]]\nversion = \"1\"\nfrom = \"2026-01-01\"",
            "edition = []",
            "line 1, column 8: a policy needs at least one [[edition]]",
        ),
        (r#"from = "2026-01-01""#, r#"from = "January 2026""#, "line 6, column 8: from: `January 2026` is no date"),
        (r#"level = "weak""#, r#"level = "bad""#, "line 10, column 9: unknown variant `bad`, expected one of `strong`"),
        (r#"level = "weak""#, "", "line 8, column 1: missing field `level`"),
        (r#"mode = ["cbc"]"#, r#"mode = ["cbs"]"#, "line 11, column 18: mode: `cbs` is not known; expected one of"),
        (r#"mode = ["cbc"]"#, r#"mode = []"#, "line 11, column 17: mode: the list is empty"),
        (r#"mode = ["cbc"]"#, r#"mode = "cbc""#, "line 11, column 17: invalid type: string"),
        (
            r#"mode = ["cbc"]"#,
            r#"suite = ["TLS_AES_128_GCM_SHA265"]"#,
            "line 11, column 19: suite: `TLS_AES_128_GCM_SHA265` is not known; did you mean TLS_AES_128_GCM_SHA256?",
        ),
        (r#"bits = { min = 128 }"#, r#"bits = { min = 512 }"#, "no cipher suite fulfils all of this"),
        (
            r#"bits = { min = 128 }"#,
            r#"bits = { min = 128, below = 128 }"#,
            "line 11, column 33: bits: the range needs",
        ),
        (r#"bits = { min = 128 }"#, r#"ssh_mac = ["a*b"]"#, "`a*b` is no pattern"),
        ("when = { mode = [\"cbc\"], bits = { min = 128 } }\n", "", "rule `no-cbc` asks nothing"),
        (
            r#"encrypt_then_mac = true"#,
            r#"encrypt_than_mac = true"#,
            "line 12, column 12: unknown field `encrypt_than_mac`",
        ),
        (r#"source = "House, section 1""#, r#"source = " ""#, "line 14, column 10: rule `no-cbc`: source is empty"),
        (
            r#"from = "2026-02-01""#,
            "from = \"2026-02-01\"\nuntil = \"2026-01-01\"",
            "ends on 2026-01-01, before it begins",
        ),
        (
            r#"from = "2026-02-01""#,
            "[[rule]]\nid = \"no-cbc\"\nlevel = \"weak\"\nwhen = { aead = false }\nreason = \"r\"\nsource = \"s\"",
            "line 16, column 6: two rules have the id `no-cbc`",
        ),
    ];
    assert!(cases.len() >= 20);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("self.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Policy::load(path.to_str().unwrap()).map_err(|error| error.to_string())
    };
    assert!(load(GOOD).unwrap().rules().iter().any(|rule| rule.id == "no-cbc"));
    for (part, spoilt, want) in cases {
        assert_eq!(GOOD.matches(part).count(), 1, "{part} stands once");
        let error = load(&GOOD.replace(part, spoilt)).unwrap_err();
        assert!(error.contains(want), "{spoilt}\n  wanted {want}\n  got {error}");
        assert!(!error.contains('\n'), "{error} is one line");
        assert!(error.starts_with(&path.display().to_string()), "{error} says which file");
    }
}
