//! Numbers that others write, and control only shows.
//!
//! It owns the list of them. Next: `admin::scrape` reads them.

use super::store::Seen;
use super::validity::CertificatesSeen;
use crate::stats::lost::Lost;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Lines of the access log that are missing.
    pub(super) access: Lost,
    /// Those of the process's own log.
    pub(super) own: Lost,
    /// When the store was heard of.
    pub(super) store: Seen,
    /// What is known of certificates.
    pub(super) certificates: CertificatesSeen,
}
