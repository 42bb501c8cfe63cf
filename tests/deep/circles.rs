//! Reads `src/` and looks for files that import each other, directly or through others.
//!
//! An import counts for the file that defines the name: what a `mod.rs` re-exports leads on to where it comes from, and
//! counts for the `mod.rs` itself if it uses the name. Code of tests does not count, nor do calls of methods.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{Source, sources};

/// One name that a `use` brings in: its path, and the name that it has here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    path: Vec<String>,
    name: String,
    /// `pub use`: others find it here.
    exported: bool,
}

/// A file as a module: its path from the root of the crate, the names that it takes.
struct Module {
    file: String,
    imports: Vec<Import>,
    /// Paths in the midst of code.
    inline: Vec<Vec<String>>,
    /// Words of the code that may be names of types, or of functions that are called.
    used: BTreeSet<String>,
}

/// `src/ops/change/mod.rs` is `ops::change`; the program's files are apart from the library's.
fn module_path(source: &Source) -> Vec<String> {
    let mut parts: Vec<String> =
        source.path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    if parts == ["lib"] { Vec::new() } else { parts }
}

/// The code before the module of tests.
fn without_tests(code: &str) -> &str {
    let starts = ["#[cfg(test)]\nmod ", "#[cfg(test)]\n#[path", "#[cfg(all(test, "];
    starts.iter().filter_map(|start| code.find(start)).min().map_or(code, |at| &code[..at])
}

/// Adds what a tree of a `use` names: `a::{b::C, d as e, self}`.
fn read_tree(text: &str, prefix: &[String], exported: bool, out: &mut Vec<Import>) {
    let text = text.trim();
    let Some((head, rest)) = text.split_once("::").filter(|(head, _)| !head.contains('{')) else {
        if let Some(group) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            let (mut depth, mut start) = (0, 0);
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        read_tree(&group[start..at], prefix, exported, out);
                        start = at + 1;
                    }
                    _ => {}
                }
            }
            return read_tree(&group[start..], prefix, exported, out);
        }
        let (name, alias) = text.split_once(" as ").unwrap_or((text, text));
        if name.is_empty() {
            return;
        }
        let mut path = prefix.to_vec();
        let alias = if name == "self" { prefix.last().cloned().unwrap_or_default() } else { alias.trim().into() };
        if name != "self" {
            path.push(name.trim().into());
        }
        return out.push(Import { path, name: alias, exported });
    };
    let prefix = [prefix, &[head.trim().into()]].concat();
    read_tree(rest, &prefix, exported, out);
}

fn read(source: &Source) -> Module {
    let code = without_tests(&source.code);
    let (mut imports, mut others) = (Vec::new(), String::new());
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let before = &rest[..at];
        let starts = before.trim_end_matches(' ').chars().next_back().is_none_or(|c| "\n;{)".contains(c))
            || before.trim_end().ends_with("pub");
        let end = rest[at..].find(';').map_or(rest.len(), |end| at + end);
        if starts {
            let exported = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
            read_tree(&rest[at + 4..end], &[], exported, &mut imports);
        }
        others += before;
        rest = if starts { &rest[end..] } else { &rest[at + 4..] };
    }
    others += rest;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let paths = others.split(|c| !is_word(c) && c != ':').filter(|path| path.contains("::"));
    let inline = paths.map(|path| path.split("::").map(String::from).collect()).collect();
    let words = others.match_indices(|c| !is_word(c)).map(|(end, _)| {
        let start = others[..end].trim_end_matches(is_word).len();
        (&others[start..end], others[end..].starts_with('('))
    });
    let is_name = |word: &str, called| called || word.starts_with(|c: char| c.is_uppercase());
    let used = words.filter(|(word, called)| is_name(word, *called)).map(|(word, _)| word.into()).collect();
    Module { file: source.path.to_string_lossy().into_owned(), inline, used, imports }
}

/// The modules of one crate by their paths.
struct Modules(BTreeMap<Vec<String>, Module>);

impl Modules {
    /// `path`, as it stands in module `at`, from the root of the crate; `None`: of another crate.
    fn absolute(&self, at: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut base = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => at.to_vec(),
            "super" => at[..at.len().checked_sub(1)?].to_vec(),
            name if self.0.contains_key(&[at, &[name.to_string()]].concat()) => [at, &[name.to_string()]].concat(),
            _ => return None,
        };
        for part in &path[1..] {
            if part == "super" {
                base.pop();
            } else {
                base.push(part.clone());
            }
        }
        Some(base)
    }

    /// The module that defines what an absolute path names: re-exports are followed.
    fn defining(&self, path: &[String], depth: usize) -> Option<Vec<String>> {
        let longest = (0..=path.len()).rev().find(|n| self.0.contains_key(&path[..*n]))?;
        let (module, rest) = path.split_at(longest);
        let re_exported = rest.first().and_then(|name| {
            let found = self.0[module].imports.iter().find(|i| i.exported && i.name == *name)?;
            let origin = self.absolute(module, &found.path)?;
            (depth > 0).then(|| self.defining(&[&origin[..], &rest[1..]].concat(), depth - 1))?
        });
        Some(re_exported.unwrap_or(module.to_vec()))
    }

    /// Who takes a name from whom.
    fn arrows(&self) -> BTreeMap<&[String], BTreeSet<Vec<String>>> {
        let of = |(at, module): (&Vec<String>, &Module)| {
            let imports = module.imports.iter().filter(|import| !import.exported || module.used.contains(&import.name));
            let named = imports.map(|import| &import.path);
            let to = named.chain(&module.inline).filter_map(|path| self.defining(&self.absolute(at, path)?, 8));
            to.filter(|to| to != at && !to.is_empty()).collect::<BTreeSet<_>>()
        };
        self.0.iter().map(|entry| (&entry.0[..], of(entry))).collect()
    }

    /// Sets of modules each of which leads to all others of its set.
    fn circles(&self) -> Vec<BTreeSet<String>> {
        let arrows = self.arrows();
        let reached = |from: &[String]| {
            let (mut seen, mut left) = (BTreeSet::new(), vec![from.to_vec()]);
            while let Some(at) = left.pop() {
                for to in arrows.get(&at[..]).into_iter().flatten() {
                    if seen.insert(to.clone()) {
                        left.push(to.clone());
                    }
                }
            }
            seen
        };
        let all: BTreeMap<_, _> = arrows.keys().map(|at| (at.to_vec(), reached(at))).collect();
        let circle = |at: &Vec<String>| {
            let back = all[at].iter().filter(|to| all.get(*to).is_some_and(|reached| reached.contains(at)));
            back.map(|at| self.0[at].file.clone()).collect::<BTreeSet<_>>()
        };
        let found: BTreeSet<_> = all.keys().map(circle).filter(|circle| circle.len() > 1).collect();
        found.into_iter().collect()
    }
}

fn modules(of_program: bool) -> Modules {
    let all = sources().into_iter().filter(|source| {
        let is_test = source.path.to_string_lossy().contains("_test") || source.path.ends_with("fixture.rs");
        (source.module == "cli") == of_program && source.module != "main" && !is_test
    });
    Modules(all.map(|source| (module_path(&source), read(&source))).collect())
}

#[test]
fn no_files_import_each_other() {
    let wrong: Vec<_> = [false, true].into_iter().flat_map(|program| modules(program).circles()).collect();
    assert!(wrong.is_empty(), "files that import each other: {wrong:#?}");
}

#[test]
fn circles_are_seen() {
    let source = |path: &str, code: &str| Source {
        path: path.into(),
        module: path.split(['/', '.']).next().unwrap().into(),
        lines: 1,
        code: code.into(),
    };
    let files = [
        source("ops/mod.rs", "mod a;\nmod b;\npub use b::{B as Re, other::{C}};\n"),
        source("ops/a.rs", "use super::Re;\nuse crate::page::Digest;\n"),
        source(
            "ops/b.rs",
            "use crate::page;\nfn f() { super::a::g() }\n#[cfg(test)]\nmod tests { use super::super::c; }",
        ),
        source("ops/c/mod.rs", "mod d;\npub use d::D;\nfn f() { D::new() }\n"),
        source("ops/c/d.rs", "use super::super::c;\n"),
        source("ops/e/mod.rs", "mod f;\npub use f::F;\n"),
        source("ops/e/f.rs", "use super::super::e;\n"),
        source("page/mod.rs", "fn f() {}\n"),
    ];
    let modules = Modules(files.iter().map(|source| (module_path(source), read(source))).collect());
    let circles = [["ops/a.rs", "ops/b.rs"], ["ops/c/d.rs", "ops/c/mod.rs"]];
    assert_eq!(modules.circles(), circles.map(|files| BTreeSet::from(files.map(String::from))));
}
