//! A clock that goes backwards: numbers give the order, times are only shown.

use super::case::{Case, finish, has, skip};

#[test]
fn a_clock_that_goes_backwards() {
    let case = Case::with_pages(10);
    if !has("faketime") {
        return skip("faketime is not there");
    }
    let mut images = vec![case.read("f")];
    let when = ["2031-01-01 00:00:00", "2011-01-01 00:00:00", "2021-01-01 00:00:00"];
    for (i, when) in when.iter().enumerate() {
        if i > 0 {
            case.touch(i as u64, i as u64);
            images.push(case.read("f"));
        }
        finish(case.command("faketime").arg(when).arg(super::case::program()).args(["snap", "f"])).exits(0);
    }
    let lines = case.ok("log --json f").json();
    let field = |name: &str| lines.iter().map(|line| line[name].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(field("number"), [1, 2, 3]);
    let times = field("time_ns");
    assert!(times[0] > times[2] && times[2] > times[1], "the clock was not turned: {times:?}");
    case.ok("log f");
    assert!(case.ok("restore f@latest -o -").bytes == images[2], "the latest is the last made");
    assert!(case.ok("restore f@-1 -o -").bytes == images[1]);
    case.ok("revert --yes f@1");
    case.ok("undo --yes f");
    assert!(case.read("f") == images[2]);
    case.ok("verify");
}

#[test]
fn times_of_the_file_prove_nothing() {
    let case = Case::with_pages(10);
    case.ok("snap f");
    let before = std::fs::metadata(case.path("f")).unwrap();
    case.touch(4, 4);
    {
        let _alone = super::case::no_forks();
        let times =
            std::fs::FileTimes::new().set_modified(before.modified().unwrap()).set_accessed(before.accessed().unwrap());
        std::fs::File::options().write(true).open(case.path("f")).unwrap().set_times(times).unwrap();
    }
    assert_eq!(case.exits("diff --pages f", 1).out, "4\n");
    case.ok("snap f").says("1 page changed");
}
