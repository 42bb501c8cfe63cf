//! A database of LMDB, which this process has open: a writable map of its file.
#![allow(unsafe_code, reason = "the bindings of LMDB")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;

use lmdb_master_sys::{
    MDB_CREATE, MDB_INTEGERKEY, MDB_NOSUBDIR, MDB_NOTFOUND, MDB_RDONLY, MDB_SUCCESS, MDB_WRITEMAP, MDB_dbi, MDB_env,
    MDB_txn, MDB_val, mdb_dbi_open, mdb_env_close, mdb_env_create, mdb_env_open, mdb_env_set_mapsize, mdb_get, mdb_put,
    mdb_txn_abort, mdb_txn_begin, mdb_txn_commit,
};

/// How long the file may get.
const MOST: usize = 16 << 20;

/// Numbers by number, in a file of this name; LMDB keeps its locks beside it.
#[derive(Debug)]
pub(crate) struct Lmdb {
    env: *mut MDB_env,
    dbi: MDB_dbi,
}

// SAFETY: an environment may be used from any thread; a transaction here begins and ends in one call.
unsafe impl Send for Lmdb {}

impl Lmdb {
    /// Opens or makes it. `flags` beside `MDB_WRITEMAP`.
    pub(crate) fn open(path: &Path, flags: u32) -> Lmdb {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let mut env = null_mut();
        // SAFETY: `env` is filled in.
        done(unsafe { mdb_env_create(&raw mut env) });
        // SAFETY: it was just made, and is not open.
        done(unsafe { mdb_env_set_mapsize(env, MOST) });
        // SAFETY: as before; the path ends with a zero. No other environment of this process has the file open.
        done(unsafe { mdb_env_open(env, path.as_ptr(), MDB_NOSUBDIR | MDB_WRITEMAP | flags, 0o600) });
        let mut lmdb = Lmdb { env, dbi: 0 };
        lmdb.dbi = lmdb.within(0, |txn| {
            let mut dbi = 0;
            // SAFETY: the transaction is open; the name of the main database is null.
            done(unsafe { mdb_dbi_open(txn, std::ptr::null(), MDB_CREATE | MDB_INTEGERKEY, &raw mut dbi) });
            dbi
        });
        lmdb
    }

    fn within<T>(&self, flags: u32, work: impl FnOnce(*mut MDB_txn) -> T) -> T {
        let mut txn = null_mut();
        // SAFETY: the environment is open; `txn` is filled in.
        done(unsafe { mdb_txn_begin(self.env, null_mut(), flags, &raw mut txn) });
        let result = work(txn);
        // SAFETY: it is the open transaction from above, and is not used again.
        done(unsafe { mdb_txn_commit(txn) });
        result
    }

    /// Sets numbers, all in one transaction.
    pub(crate) fn put(&self, pairs: &[(u64, u64)]) {
        self.within(0, |txn| {
            for (mut key, mut number) in pairs.iter().copied() {
                let (mut key, mut number) = (value(&mut key), value(&mut number));
                // SAFETY: the transaction is open; both point to eight bytes, which it copies.
                done(unsafe { mdb_put(txn, self.dbi, &raw mut key, &raw mut number, 0) });
            }
        });
    }

    /// The last committed number.
    pub(crate) fn get(&self, mut key: u64) -> Option<u64> {
        let mut txn = null_mut();
        // SAFETY: the environment is open; `txn` is filled in.
        done(unsafe { mdb_txn_begin(self.env, null_mut(), MDB_RDONLY, &raw mut txn) });
        let (mut key, mut found) = (value(&mut key), MDB_val { mv_size: 0, mv_data: null_mut() });
        // SAFETY: the transaction is open; the key points to eight bytes, `found` is filled in.
        let code = unsafe { mdb_get(txn, self.dbi, &raw mut key, &raw mut found) };
        let number = (code != MDB_NOTFOUND).then(|| {
            done(code);
            assert_eq!(found.mv_size, 8);
            // SAFETY: it points to eight bytes, of any alignment, as long as the transaction is open.
            unsafe { found.mv_data.cast::<u64>().read_unaligned() }
        });
        // SAFETY: it is the open transaction from above, and is not used again.
        unsafe { mdb_txn_abort(txn) };
        number
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // SAFETY: no transaction is open, and the environment is not used again.
        unsafe { mdb_env_close(self.env) };
    }
}

fn value(of: &mut u64) -> MDB_val {
    MDB_val { mv_size: 8, mv_data: std::ptr::from_mut(of).cast() }
}

#[track_caller]
fn done(code: i32) {
    assert_eq!(code, MDB_SUCCESS);
}
