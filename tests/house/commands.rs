//! The commands that we tell people: each exists, the first two are the promise, and CI runs nothing else.

use crate::sources::{read, root};

fn targets() -> Vec<(String, bool)> {
    let makefile = read("Makefile");
    let rules = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']));
    rules
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            (plain && !rest.starts_with('=')).then(|| (name.to_owned(), rest.contains("## ")))
        })
        .collect()
}

/// The lines inside of fenced blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            lines.push(line.trim().to_owned());
        }
    }
    lines
}

#[test]
fn the_first_two_commands_of_the_readme_are_demo_and_test() {
    let commands: Vec<_> = blocks(&read("README.md"))
        .into_iter()
        .filter(|line| !line.is_empty())
        .take(2)
        .collect();
    let names: Vec<_> = commands
        .iter()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .collect();
    assert_eq!(names, ["make demo", "make test"]);
}

#[test]
fn every_target_that_a_page_names_exists() {
    let targets = targets();
    for path in ["README.md", "ARCHITECTURE.md"] {
        let page = read(path);
        for (at, _) in page.match_indices("make ") {
            let named_as_code = page[..at].ends_with(['`', '\n', ' '])
                && (page[..at].ends_with('`') || page[..at].ends_with('\n'));
            if !named_as_code {
                continue;
            }
            let name: String = page[at + 5..]
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            assert!(
                targets.iter().any(|(target, _)| *target == name),
                "{path} says `make {name}`, the Makefile has no such target"
            );
        }
    }
}

#[test]
fn every_target_says_what_it_does() {
    let targets = targets();
    for wanted in [
        "help",
        "demo",
        "test",
        "bench",
        "real-org",
        "deps-up",
        "deps-down",
        "lint",
        "fmt",
    ] {
        assert!(
            targets.iter().any(|(name, _)| name == wanted),
            "the Makefile lacks {wanted}"
        );
    }
    for (name, explained) in targets {
        assert!(
            explained,
            "make help has nothing to say about {name}; add `## ...`"
        );
    }
}

#[test]
fn ci_runs_the_test_command_of_the_readme_and_nothing_beside_it() {
    let script = read(".ci/run");
    let lines: Vec<_> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let (last, before) = lines.split_last().expect("the script has lines");
    assert_eq!(*last, "exec make test");
    for line in before {
        assert!(
            line.starts_with("set ") || line.starts_with("cd "),
            ".ci/run does more than it should: {line}"
        );
    }
}

#[test]
fn scripts_that_are_called_are_there_and_may_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let makefile = read("Makefile");
    let called: Vec<&str> = makefile
        .split_whitespace()
        .map(|word| word.trim_start_matches('@'))
        .filter(|word| word.starts_with("tests/"))
        .collect();
    assert!(called.len() > 5);
    for path in called.into_iter().chain([".ci/run"]) {
        let meta = std::fs::metadata(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(meta.permissions().mode() & 0o111 != 0, "{path} may not be run");
    }
}

/// What follows `nightshift` where it is called: the words of the subcommand.
fn called(line: &str) -> Option<Vec<String>> {
    let (_, rest) = line.rsplit_once("-- nightshift ").or_else(|| {
        let rest = line.strip_prefix("nightshift ")?;
        Some(("", rest))
    })?;
    let words = rest.split_whitespace();
    let small = words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    Some(small.take(2).map(str::to_owned).collect())
}

/// Code inside of a page's sentences, each as one line.
fn code_in_sentences(page: &str) -> Vec<String> {
    let mut inside = false;
    let sentences: Vec<_> = page
        .lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
        .collect();
    let text = sentences.join(" ");
    let spans = text.split('`').skip(1).step_by(2);
    spans
        .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The pages that tell operators what to type.
fn pages_for_operators() -> Vec<String> {
    let mut pages = vec![read("README.md"), read("docs/kubernetes.md")];
    let runbooks = std::fs::read_dir(root().join("docs/runbooks")).expect("there are runbooks");
    for entry in runbooks {
        let path = entry.expect("the folder can be read").path();
        pages.push(std::fs::read_to_string(path).expect("a page is text"));
    }
    pages
}

#[test]
fn every_subcommand_that_a_page_for_operators_names_is_one() {
    let program = env!("CARGO_BIN_EXE_nightshift");
    let mut asked = std::collections::BTreeSet::new();
    for page in pages_for_operators() {
        let lines = blocks(&page).into_iter().chain(code_in_sentences(&page));
        asked.extend(lines.filter_map(|line| called(&line)));
    }
    assert!(asked.len() > 12, "the pages show {} commands only", asked.len());
    for words in asked {
        let help = std::process::Command::new(program)
            .args(&words)
            .arg("--help")
            .output()
            .expect("the program was built");
        assert!(
            help.status.success(),
            "nightshift {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&help.stderr)
        );
    }
}
