//! ELB is a dynamic HTTP/1.1 load balancer: rules and upstreams change while traffic flows, and no request notices.
//!
//! This page is the tour. It says where things are, how a request travels, and where a change goes. What an operator
//! needs is in the [`manual`].
//!
//! # The house
//!
//! ```text
//!                         main.rs, command/                          floor 4: starts the two planes
//!              ┌──────────────────┴──────────────────┐
//!            data/                                control/           floor 3: the planes; strangers to each other
//!   one pinned thread a core, mio          one thread, tokio
//!              │           └───────► link.rs ◄───────┘ │             floor 2: snapshots and channels, the only bridge
//!     explain/, answer.rs, policy.rs    │              │                      why a request goes where it goes
//!          exchange/                    │              │                      exchange/: one proxied request, pure
//!              │                        │              │
//!           http1/          stats.rs  settings/      model/          floor 1: pure; know nothing above them
//!   bytes and heads              │           rules, upstreams, snapshots
//!              ├────────────────┼──────────────────────┤
//!          semantics/     reason.rs, warning.rs   spelling.rs       ground: what HTTP means; why something is refused;
//!                                                units.rs       what was meant; times and sizes as text
//! ```
//!
//! *Pure* means: no socket, no clock, no thread, no channel, no log, no random number. `now` is an argument. So the
//! whole protocol can be run in memory, byte by byte, and a run is a seed. `tests/tidy.rs` holds these walls. What decides
//! in `control` is told the time as well: the loop in `control::run` reads the clock once a turn.
//!
//! * [`semantics`]: what HTTP means, whatever the wire says it in. [`semantics::field`] is what names mean,
//!   [`semantics::policy`] what may be done with a field, [`semantics::host`] and [`semantics::path`] make two spellings
//!   one, and [`semantics::RequestView`] is a request as everybody looks at it.
//! * [`reason`]: why something is refused, cut or closed; its word and its status. [`warning`]: what is accepted and should
//!   be known.
//! * [`readiness`]: whether the process should get traffic, and why not.
//! * [`spelling`]: the word that was probably meant by one that there is not.
//! * [`units`]: times and sizes as people write them.
//! * [`settings`]: flags and variables to one validated value.
//! * [`model`]: what the operator said. [`model::State`] is the editable truth, [`model::Snapshot`] the immutable copy
//!   that workers read, [`model::route`] the one function that decides where a request goes.
//! * [`http1`]: what the wire says. [`http1::buf::Buf`] is a window with marks; `http1::lines` splits a head that came
//!   whole, [`http1::scan`] finds the end of one that did not, [`http1::request_head`] and [`http1::response_head`] say
//!   what it means, [`http1::body`] finds the end of a body, [`http1::rewrite`] writes what leaves.
//! * [`exchange`]: one request and its response as a machine: events in, [`exchange::Step`]s out. [`exchange::drive`] takes its
//!   steps, and an [`exchange::Shell`] does what they ask for.
//! * [`policy`]: what settings come to for an exchange. [`explain`]: what would become of a request, asked of the same functions, and a
//!   rule set drawn.
//! * [`tls`]: which certificate a client is shown, whom one trusts as a server, and what their sessions begin with.
//! * [`answer`]: what ELB answers itself where rules lead to no server.
//! * [`link`]: what the planes say to each other.
//! * [`handover`]: how one process takes the place of another: descriptors, messages, the path where they meet.
//! * [`access_log`]: a line for each request, from a batch of a worker to a file, by threads of its own.
//! * [`data`]: the event loop of one core, and all that a core owns: connections, pools, balancers, timers, windows.
//! * [`control`]: the hub (the only writer of the configuration), the stores, the admin API, statsd, signals.
//! * [`command`]: `elb`, `elb demo`, `elb check`, `elb explain`, `elb graph`, `elb health`, `elb fleet`, `elb top`,
//!   `elb ctl`, `elb migrate-v2`, `elb completions`, `elb man`.
//!
//! # The life of a request
//!
//! 1. The kernel gives the connection to one worker's listener; `data::accept` takes it. A listener has a protocol; what that
//!    has before the first request says who the client is (`data::prelude`), and HTTP has nothing there. An idle connection
//!    owns no buffer and no exchange.
//! 2. Its first bytes are read by `data::pump` straight into a window lent from the worker's stock. What follows is done
//!    for a group of connections side by side (`data::rounds`): all read, then all decide, then all write. What they read from
//!    and write to is a `data::transport`.
//! 3. The exchange finds the head, checks all of it, makes host and path canonical (`exchange::heads`), so that rules see
//!    what goes out, and asks its shell to route. The question ([`exchange::Routing`]) lends a [`semantics::RequestView`], in
//!    which what nobody looks at is not looked up.
//! 4. `data::dispatch` asks `data::view`, which calls [`model::route`]: it finds the domain and walks its rules, each of which
//!    chooses one of its successors, to an end ([`model::Terminal`]). The answer is one of ELB's own
//!    ([`answer`]: a refusal, a page, a redirect), or an upstream with extra fields and perhaps a new path. What is ELB's own
//!    ([`semantics::reserved`]) is recognised here: `data::door` refuses strangers by the peer of the socket, whoever the client is said to be, and the connection of a
//!    call of the admin API is handed to control with the bytes already read.
//! 5. The exchange asks for a server. `data::balancer` chooses, `data::pool` lends an idle connection or makes one.
//! 6. The rewritten head and what came of the body leave in one write.
//! 7. The response's head arrives. Whether another server is tried (`exchange::retry`), the protocol is switched, or the
//!    head is committed to the client is decided here and nowhere else; until now the client got nothing.
//! 8. Bodies pass in the window they were read into; only marks move, but where something is left out (`exchange::sift`), or all of it compressed (`exchange::press`).
//!    A side without room is not read: that is the backpressure, in both directions. A side that fills its window at once
//!    is lent a larger one (`exchange::sizes`); when windows are short, some are taken back (`data::relief`), and so are
//!    places for connections (`data::room`).
//! 9. `exchange::finish` says who may be used again, and what the exchange says about its server. However a request ends,
//!    `data::settle` ends it: the server connection returns to the pool, stays with its client if it knows its user now, or is
//!    closed; windows return to the stock; and [`data::record`] makes one record of it for whoever tells of requests.
//!
//! # The life of a change
//!
//! Rules that a PUT or an etcd event brings are read, and their patterns checked, on a thread of their own
//! (`control::reader`), where nobody waits. The names that a PUT brings are looked up (`control::names`), so that it waits
//! for its own and nobody else does. Then it reaches `control::hub`, as an etcd event does by way of `control::store_guard`, and
//! is applied to [`model::State`]: whole, or not at all. The hub builds a snapshot that shares whatever did not change, and
//! sends it to every worker. A worker swaps one pointer; its pools and balancers follow when they are next used. The old
//! snapshot travels back and is freed off the request path. The PUT is answered when every worker serves the new one.
//!
//! # Where does a change go?
//!
//! | change | file | and |
//! |---|---|---|
//! | how a text is compared with a pattern, a prefix | `model/rule/matcher.rs` | |
//! | a rule type | `model/rule/<type>.rs` | one line in `model/rule/kind.rs` and its `mod`; a test asks for its row in the manual and its place in the corpus |
//! | what ends a walk through rules | `model/rule/<type>.rs` | one line in `model/rule/kind.rs`; `model/route.rs` says what follows |
//! | how often is too often, and for how many keys it is counted | `model/rates.rs` | `model/rule/limit.rs` says what is counted |
//! | how rules are linked and walked | `model/graph.rs` | `model/recorder.rs` for who watches |
//! | what an explanation says | `explain/way.rs`, `explain/servers.rs` | `explain/tree.rs` draws it |
//! | a form in which rules are drawn | `explain/graph/words.rs`; for programs `explain/graph/json.rs` | its word in `settings/commands.rs` |
//! | the dialect of patterns | `model/dialect/` | a row in its test; `model/engine.rs` for the engines |
//! | when a pattern is compiled, and which make room | `model/pattern.rs`, `model/compiled.rs` | `model/engines.rs` for what a worker holds |
//! | what is suggested for a word that there is not | `spelling.rs` | |
//! | a server parameter | `model/server.rs` | `data/balancer/peer.rs` reads it |
//! | a balancing method | `data/balancer/<method>.rs` | one line in `data/balancer/methods.rs`, one in `model/options/balancing.rs` |
//! | an option of an upstream | `model/upstream_options.rs`, `model/options/` for its values | who does what it says: `data/terms.rs` what is told to its exchanges |
//! | how many second tries there are | `data/budget.rs` | `exchange/retry.rs` for when there is one |
//! | what a server is chosen by, in a request | `model/options/balancing.rs` | `data/balancer/key.rs` hashes it, as `model/rates.rs` does for limits |
//! | what a field's name means | `semantics/field.rs` | `http1/request_head.rs`, `http1/response_head.rs` read it |
//! | what a rule, a peer or a trailer may not do with a field | a row of `semantics/policy.rs` | |
//! | what can be looked at in a request | `semantics/request.rs` | `exchange/heads.rs` looks it up, `semantics/sketch.rs` has it for tests |
//! | a header added or dropped | `http1/rewrite.rs`, `http1/connection.rs`; `http1/origin.rs` for how the request came | |
//! | a limit on a peer | `http1/limits.rs` | |
//! | what is compressed, and when | `http1/gzipped.rs`; for whom, and what holds where nothing is said: `semantics/gzip.rs` | `exchange/response/gzip.rs` for what leaves when, `exchange/press.rs` for how many at once; how it is asked for: `model/rule/gzip.rs` |
//! | a reason not to be ready | one line in `readiness.rs` | `control/run.rs` judges it; its row in the table of health |
//! | a warning | one line in `warning.rs` | its row in the table of warnings; who finds it: `model/lint.rs` for what the whole of a rule set shows, else where it is read |
//! | a reason, its word, its status | one line in `reason.rs` | its row in the table of reasons; `http1/error.rs` if a message is refused for it |
//! | a phase of an exchange, a transition | `exchange/phase.rs`, `exchange/machine/steps.rs` | `exchange/machine/ends.rs` for its deadline; its row in the table of `exchange/machine/tests/table.rs` |
//! | what a shell is asked for | a method of `Shell` in `exchange/drive.rs` | `data/dispatch.rs` does it |
//! | a retry rule | `exchange/retry.rs` | a row in its test |
//! | what counts against a server | `exchange/retry.rs` says what happened | `data/balancer/peer.rs` what follows |
//! | a check of servers | `control/checks/probe.rs` makes one, `control/checks/schedule.rs` says when | its options: `model/options/checks.rs` |
//! | what is shown and told of a server | `control/servers.rs`, `control/health.rs` | `control/admin/servers.rs` |
//! | what all workers know of a server | `model/server_state.rs`; of its requests, `model/server_load.rs` | who writes it, `data/balancer/peer.rs`, `data/balancer/general.rs` |
//! | which server connections are kept | `exchange/finish.rs`, `data/demand.rs` | |
//! | a timeout | `settings/args.rs` | its field of `Policy` (`exchange/phase.rs`), set in `data/spawn.rs`; the phase that uses it in `exchange/machine/ends.rs`, `exchange/deadline.rs` |
//! | an admin endpoint | `control/admin/<name>.rs` | one line in `control/admin/router.rs`; its description in `control/admin/openapi.json`, its calls in `tests/e2e/openapi.rs` |
//! | who is asked for the address of a server's name | `control/dns.rs`, `control/lookups.rs` | |
//! | what a node says of itself to others | `control/fleet/document.rs` | when it is told: `control/fleet/teller.rs`; its lease: `control/store/nodes.rs` |
//! | which node lags, and the words for why | `control/fleet/judge.rs` | `control/admin/fleet.rs` shows it, `command/fleet.rs` prints it |
//! | a command of `elb ctl` | its words in `settings/ctl.rs`, what it does in `command/ctl/` | its row in the manual |
//! | a store | `control/store/<name>.rs` | one line in `control/start.rs` |
//! | how etcd is reached, and who one is there | `settings/etcd_args.rs`, `settings/etcd.rs` | `control/store/options.rs`, for all who ask etcd; the files for TLS: `settings/certificates.rs`; what was wrong: `control/store/tls.rs` |
//! | who may use the admin API | `control/admin/access.rs`, `data/door.rs` | |
//! | who is told of a request that is over | a line in `data/record.rs` | |
//! | what is done for a request that is looked at closely | `data/aside.rs` | which ones those are: `data/seeing.rs` |
//! | how requests spread over rules, which of them failed | `control/heat.rs`, `control/failures.rs` | |
//! | a flag for what is seen from outside | `settings/seeing.rs` | |
//! | a form of a line of the access log | `access_log/format/<form>.rs` | one line in `access_log/format/line.rs`, one in `settings/seeing.rs` |
//! | what the access log shows | `access_log/entry.rs`, who notes it: `data/note.rs`, `data/record.rs` | its member in the forms, its row in the table of the access log |
//! | a metric for Prometheus | one line in `control/admin/metrics.rs` | its row in the table of metrics |
//! | a number of requests that is counted | `stats.rs` | by which names it is told: `control/traffic.rs`; its line in `control/admin/metrics.rs`, `control/statsd.rs` |
//! | what is told of a change of the configuration | `control/changes.rs` | what counts as one: `model/ledger.rs` |
//! | how much of live traffic may be taken away at once | `control/live.rs` | |
//! | what a service manager is told | `control/manager.rs` | `tools/packaging/elb.service` |
//! | what is in a package, and what it does when it is installed or removed | `tools/releasing/contents.py`, `tools/packaging/` | `tools/releasing/tests.py` |
//! | what one process says to the next | `handover/say.rs`, `handover/carried.rs` | both sides: `handover/give.rs`, `handover/take.rs`; the number of the form, if the other side must know it |
//! | what the next process gets of this one's memory | `control/hub/carried.rs`, `handover/carried.rs` | |
//! | when another process takes over, and what follows | `control/succession.rs`, `control/steps.rs` | `control/arrival.rs` for the one that takes |
//! | which worker takes from which queue | `data/shares.rs` | `command/inherit.rs` finds the queues that are there |
//! | long work that nobody waits for | `control/background.rs` has it done at a lower priority | |
//! | when memory is given back | `control/spare.rs` | `memory.rs` does it |
//! | what is kept of the last versions | `control/history/entry.rs`; over a restart `control/history/line.rs` | |
//! | what the digest of the configuration is made of | `model/digest.rs` | |
//! | what is told at a glance | `control/admin/overview.rs`; rows of names in `control/admin/stats.rs` | what it is made of: `control/recent.rs` |
//! | a socket option | `data/listen.rs`, `data/socket.rs` | |
//! | a protocol of a listener | `Protocol` in `data/listen.rs` | its word: `settings/listen.rs`; what it begins with: `data/prelude.rs` |
//! | what comes before HTTP and says who the client is | `data/prelude.rs` | its listener's protocol |
//! | a layer between HTTP and the socket, such as TLS | one variant in `data/transport.rs` | its own file, as `data/secure.rs` |
//! | how a connection to a server begins: TLS, the PROXY protocol | `model/options/opening.rs`, `data/opening.rs` | whom one trusts: `tls/toward.rs`; the header: `semantics/proxy_header.rs`; checks: `control/checks/probe.rs` |
//! | which requests came the wrong way: 421, and `--tls-redirect` | `data/scheme.rs` | |
//! | which certificate is shown, what TLS speaks | `tls/shown.rs`, `tls/config.rs` | the folder: `control/certificates/folder.rs`; until when they are good, and alarms: `tls/expiry.rs`, `control/validity.rs` |
//! | which clients are believed by their certificate, and what servers are told of it | `tls/clients.rs`, `http1/origin.rs` | the file: `control/certificates/clients.rs` |
//! | what etcd has of a certificate, how its key is sealed | `tls/stored.rs`, `tls/seal.rs` | what becomes of it: `control/certificates/stored.rs`; how it is read and written: `control/store/certificates.rs` |
//! | the form of the log, where it goes | `command/log/form.rs`, `command/log/json.rs`, `command/log/writer.rs` | its word in `settings/seeing.rs` |
//! | which core does what | `data/cores.rs` | |
//! | what an operator should know | `manual/<page>.md` | its line in `README.md`, if the page is new |
//!
//! # Words
//!
//! A **client** connects to ELB, ELB connects to a **server**; an **upstream** is a named set of servers. A
//! **connection** is a client's socket and what hangs on it, an **exchange** is one request and its response, a **pool**
//! holds the idle server connections of one **worker**. The **hub** writes the **state**; a **snapshot** is its
//! immutable copy; a **view** is one worker's reading of a snapshot. A **phase** is where an exchange stands.

// A file's last line leads to where one reads on, which may be a private room.
#![allow(rustdoc::private_intra_doc_links)]

pub mod access_log;
pub mod answer;
pub mod command;
pub mod control;
pub mod data;
pub mod exchange;
pub mod explain;
pub mod handover;
pub mod http1;
pub mod link;
pub mod manual;
pub mod memory;
pub mod model;
pub mod policy;
pub mod readiness;
pub mod reason;
pub mod semantics;
pub mod settings;
pub mod spelling;
pub mod stats;
pub mod tls;
pub mod units;
pub mod warning;
