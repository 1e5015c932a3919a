//! The commands of the README and of `docs/` do what is written there: each is run, and what is shown is what it prints.
//!
//! A `console` block holds commands (`$ tlscov ...`, going on after a `\`) and what they print; a line `...` stands for any
//! number of lines. The commands of a page run in order in one folder, which holds `testdata/` and its captures. Each must
//! end with exit status 0, all parts of a pipe included.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A command of a page, and the lines that stand below it.
#[derive(Debug)]
struct Example {
    line: usize,
    command: String,
    shown: Vec<String>,
}

fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let (mut inside, mut goes_on, mut ours) = (false, false, false);
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            (inside, goes_on, ours) = (line == "```console", false, false);
        } else if !inside {
        } else if goes_on {
            if let Some(example) = found.last_mut().filter(|_| ours) {
                example.command.push_str(line.trim_end_matches('\\'));
            }
            goes_on = line.ends_with('\\');
        } else if let Some(command) = line.strip_prefix("$ ") {
            // What the README says for those who have not installed it.
            let command = command.replace("cargo run --release -- ", "tlscov ");
            ours = command.starts_with("tlscov ");
            goes_on = command.ends_with('\\');
            if ours {
                let command = command.trim_end_matches('\\').to_owned();
                found.push(Example { line: number + 1, command, shown: Vec::new() });
            }
        } else if ours && let Some(example) = found.last_mut() {
            example.shown.push(line.to_owned());
        }
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(Path::new(ROOT).join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(Path::new(ROOT).join("README.md"));
    pages.sort();
    pages
}

/// A folder with `testdata/` and its captures, as the pages have it, and what the reader of this page would make first.
fn prepared(page: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let testdata = Path::new(ROOT).join("testdata");
    for entry in fs::read_dir(&testdata).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "pcap" || end == "pcapng") {
            symlink(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    symlink(testdata, folder.path().join("testdata")).unwrap();
    fs::write(folder.path().join("secret.key"), [7; 32]).unwrap();
    if let Some((_, rest)) = page.split_once("```toml\n") {
        fs::write(folder.path().join("encryption.toml"), rest.split_once("```").unwrap().0).unwrap();
    }
    folder
}

fn shell(command: &str, folder: &Path) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_tlscov")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    Command::new("bash")
        .args(["-o", "pipefail", "-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder)
        .env("NO_COLOR", "1")
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .unwrap()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Whether `have` is what `shown` says; `...` is any number of lines.
fn is_shown(shown: &[String], have: &[&str]) -> bool {
    match shown.split_first() {
        None => have.is_empty(),
        Some((line, rest)) if line == "..." => (0..=have.len()).any(|skipped| is_shown(rest, &have[skipped..])),
        Some((line, rest)) => have.split_first().is_some_and(|(first, after)| first == line && is_shown(rest, after)),
    }
}

#[test]
fn every_command_of_the_pages_does_what_they_say() {
    let with_jq = is_there("jq");
    let (mut run, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let folder = prepared(&text);
        for Example { line, command, mut shown } in examples(&text) {
            let place = format!("{}:{line}: {command}", page.display());
            let mut command = command;
            if !with_jq && let Some((ours, _)) = command.split_once("| jq") {
                // Our part of it still has to work.
                (command, shown) = (ours.to_owned(), Vec::new());
            }
            let output = shell(&command, folder.path());
            let [stdout, stderr] =
                [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
            run += 1;
            if !cfg!(feature = "parquet") && command.contains("parquet") {
                assert!(stderr.contains("--features parquet"), "{place}: {stderr}");
            } else if !output.status.success() {
                wrong.push(format!("{place}: {}\n{stdout}{stderr}", output.status));
            } else if !shown.is_empty() && !is_shown(&shown, &stdout.lines().collect::<Vec<_>>()) {
                wrong.push(format!("{place} prints:\n{stdout}not:\n{}\n", shown.join("\n")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run > 40, "only {run} commands were found");
}

#[test]
fn the_summary_of_the_readme_is_what_the_program_prints() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let summary = readme.split_once("```text\n").and_then(|(_, rest)| rest.split_once("\n```")).unwrap().0;
    let output = shell("tlscov scan testdata/office.pcapng --format text", prepared("").path());
    let printed = String::from_utf8(output.stdout).unwrap();
    for line in summary.lines() {
        assert!(printed.lines().any(|have| have == line), "README.md shows {line:?}, which is not in:\n{printed}");
    }
}

#[test]
fn pages_are_taken_apart_as_they_are_meant() {
    let page = "```console\n$ tlscov a \\\n    -b | c\none\n...\n$ cargo run --release -- d\n$ cargo test\nnoise\n```\n\
                ```text\n$ tlscov no\n```\n";
    let found: Vec<_> =
        examples(page).into_iter().map(|example| (example.line, example.command, example.shown)).collect();
    let want = [(2, "tlscov a     -b | c", vec!["one", "..."]), (6, "tlscov d", vec![])];
    let want = want.map(|(line, command, shown)| {
        (line, command.to_owned(), shown.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(found, want);
    let cases: [(&[&str], &[&str], bool); 6] = [
        (&["a", "b"], &["a", "b"], true),
        (&["a"], &["a", "b"], false),
        (&["a", "..."], &["a", "b"], true),
        (&["...", "b"], &["a", "b"], true),
        (&["...", "c"], &["a", "b"], false),
        (&["a", "...", "b"], &["a", "b"], true),
    ];
    for (shown, have, want) in cases {
        let shown: Vec<String> = shown.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(is_shown(&shown, have), want, "{shown:?} {have:?}");
    }
}

/// Commands of the program, by its own help.
fn commands() -> Vec<String> {
    let help = shell("tlscov --help", Path::new(ROOT));
    let help = String::from_utf8(help.stdout).unwrap();
    let list = help.split_once("Commands:\n").and_then(|(_, rest)| rest.split_once("\n\n")).unwrap().0;
    let starts = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    starts.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command_has_examples() {
    let commands = commands();
    assert!(commands.len() >= 13, "{commands:?}");
    for command in &commands {
        let output = shell(&format!("tlscov {command} --help"), Path::new(ROOT));
        let help = String::from_utf8(output.stdout).unwrap();
        let examples = help.split_once("\nExamples:\n").map(|(_, rest)| rest).unwrap_or_default();
        assert!(examples.contains(&format!("tlscov {command}")), "{command}: {help}");
    }
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    for command in &commands {
        assert!(readme.contains(&format!("`tlscov {command}")), "the README does not name `tlscov {command}`");
    }
}

#[test]
fn manual_pages_and_completions_are_taken_by_the_programs_that_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let run = |command: &str| {
        let output = shell(command, folder.path());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {text}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), text)
    };
    run("tlscov man -o man");
    for command in commands() {
        let name = format!("man/tlscov-{command}.1");
        assert!(folder.path().join(&name).is_file(), "{name}");
        if is_there("groff") {
            let (_, warnings) = run(&format!("groff -man -z -ww {name}"));
            assert_eq!(warnings, "", "{name}");
        }
    }
    run("tlscov completions bash > tlscov.bash && bash -n tlscov.bash");
    // What completion offers after `tlscov fl`.
    let (offered, _) = run(
        "source ./tlscov.bash; COMP_WORDS=(tlscov fl) COMP_CWORD=1; _tlscov tlscov fl tlscov; echo \"${COMPREPLY[@]}\"",
    );
    assert_eq!(offered.trim(), "flows");
    for (shell, check) in [("zsh", "zsh -n"), ("fish", "fish --no-execute")] {
        let script = format!("tlscov completions {shell} > script.{shell}");
        run(&if is_there(shell) { format!("{script} && {check} script.{shell}") } else { script });
    }
}
