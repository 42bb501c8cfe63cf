//! A process that stores a pair of counters through a map, in the first and the last page of a file: the first, then the
//! second. At any one moment the first is at most one ahead.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::case::{Case, PAGE, noise, start};

/// As many stores a second as python3 can make.
const WRITER: &str = "\
import mmap, os, sys
f = os.open(sys.argv[1], os.O_RDWR)
m = memoryview(mmap.mmap(f, 0)).cast('Q')
b, n = len(m) - 512, 0
print('ready', flush=True)
while True:
    n += 1
    m[0] = n
    m[b] = n
";

/// The process; killed when dropped.
pub(crate) struct Pairs(Child);

impl Pairs {
    /// Makes the file `f` of noise with the counters 0, and starts to count.
    pub(crate) fn begin(case: &Case, pages: usize) -> Pairs {
        let mut bytes = noise(1, pages * PAGE);
        bytes[..8].fill(0);
        bytes[(pages - 1) * PAGE..][..8].fill(0);
        case.write("f", &bytes);
        Pairs::another(case)
    }

    /// One more for the same file.
    pub(crate) fn another(case: &Case) -> Pairs {
        let mut command = Command::new("python3");
        command.args(["-c", WRITER]).arg(case.path("f")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = start(&mut command);
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        Pairs(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&self) -> &Child {
        &self.0
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().starts_with(" T")
    }
}

impl Drop for Pairs {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How far the first counter of an image is ahead of the second.
pub(crate) fn ahead(image: &Path) -> i64 {
    let bytes = std::fs::read(image).unwrap();
    let at = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    at(0) - at(bytes.len() - PAGE)
}
