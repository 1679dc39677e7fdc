//! How much memory the process has, and giving back what it has no use for.
//!
//! It owns the one function in this house that the compiler cannot check; never the allocator, which `main` chooses, nor the judgement when
//! to call it. Next: `control::spare` judges.

use std::fs;

use libmimalloc_sys::mi_collect;

/// Bytes of memory that the process has at the moment; nothing where the system does not say (proc(5), `statm`).
pub fn resident() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

/// Lets the process have what this thread has no use for. The allocator does that by itself where a thread goes on allocating; the
/// threads that read and apply changes may have nothing more to do for hours. It takes some milliseconds for a hundred megabytes.
pub fn let_go() {
    collect(false);
}

/// Gives what the process has no use for back to the system, whichever thread let go of it. For the kernel that is work, a tenth of a
/// second for some hundred megabytes: it is for a thread that nobody waits for.
pub fn give_back() {
    collect(true);
}

/// Where another allocator is in use, as in unit tests, there is nothing to collect.
fn collect(all: bool) {
    // Sound at any time and on any thread: it takes no pointer, and what it frees is what nobody has.
    #[allow(unsafe_code)]
    unsafe {
        mi_collect(all);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_process_has_is_some_megabytes() {
        let resident = super::resident().unwrap();
        assert!((1 << 20..1 << 36).contains(&resident), "{resident}");
    }

    #[test]
    fn it_may_be_called_at_any_time_on_any_thread() {
        let held = vec![7_u8; 1 << 20];
        super::let_go();
        super::give_back();
        std::thread::spawn(super::give_back).join().unwrap();
        assert!(held.iter().all(|byte| *byte == 7));
    }
}
