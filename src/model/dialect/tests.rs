//! What patterns mean, beside a table of what they mean to Perl; and where there is a Perl, beside it.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::model::engines::Engines;
use crate::model::parts::Parts;

/// What comes of a pattern and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Came {
    /// The pattern is refused.
    Refused,
    No,
    /// A match in which the first group took no part.
    Whole,
    Group(Vec<u8>),
}

use Came::{No, Refused, Whole};

fn group(text: &[u8]) -> Came {
    Came::Group(text.to_vec())
}

/// What ELB makes of it: for the group, and whether it agrees with itself when only a match is asked for.
fn ours(pattern: &str, text: &[u8]) -> Came {
    let (parts, mut engines) = (Parts::default(), Engines::default());
    engines.begin();
    let (Ok(grouped), Ok(plain)) = (parts.pattern(pattern, true), parts.pattern(pattern, false)) else {
        return Refused;
    };
    let found = engines.first_group(&grouped, text);
    assert_eq!(
        found.is_some(),
        engines.is_match(&plain, text),
        "{pattern:?} in {:?}",
        text.escape_ascii().to_string()
    );
    assert_eq!(engines.given_up(), 0, "{pattern:?}");
    match found {
        None => No,
        Some(None) => Whole,
        Some(Some(range)) => group(&text[range]),
    }
}

const PERL: &str = r#"
no warnings;
while (<STDIN>) {
    chomp;
    my ($pattern, $text) = map { pack 'H*', $_ } split / /, $_, -1;
    # Whole searches, for what is skipped beforehand is not always skipped rightly.
    my $compiled = eval { qr/\A(?s:.*?)(?:$pattern)/ };
    if (!defined $compiled) { print "refused\n" }
    elsif ($text !~ $compiled) { print "no\n" }
    elsif (defined $1) { print "group ", unpack('H*', $1), "\n" }
    else { print "whole\n" }
}"#;

/// What Perl makes of them; nothing when there is none here.
fn perls(asked: &[(String, Vec<u8>)]) -> Option<Vec<Came>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut perl = Command::new("perl")
        .args(["-e", PERL])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut input = perl.stdin.take().unwrap();
    let lines: Vec<_> =
        asked.iter().map(|(pattern, text)| hex(pattern.as_bytes()) + " " + &hex(text)).collect();
    let writer = std::thread::spawn(move || input.write_all((lines.join("\n") + "\n").as_bytes()));
    let output = perl.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let unhex = |text: &str| -> Vec<u8> {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let read = |line: &str| match line.split_once(' ') {
        Some(("group", bytes)) => group(&unhex(bytes)),
        _ if line == "no" => No,
        _ if line == "whole" => Whole,
        _ => Refused,
    };
    Some(String::from_utf8(output.stdout).unwrap().lines().map(read).collect())
}

/// Pattern, text, and what Perl says (perlre, perlrebackslash, perlrecharclass).
fn rows() -> Vec<(&'static str, &'static [u8], Came)> {
    vec![
        // `$` and `\Z` also stand before a line end that is the last byte; `\z` does not.
        ("^/admin$", b"/admin", Whole),
        ("^/admin$", b"/admin\n", Whole),
        ("^/admin$", b"/admin\n\n", No),
        ("^/admin$", b"/admin\nx", No),
        (r"^/admin\Z", b"/admin\n", Whole),
        (r"^/admin\Z", b"/admin\n\n", No),
        (r"^/admin\z", b"/admin\n", No),
        (r"^/admin\z", b"/admin", Whole),
        (r"^/(?!x)admin$", b"/admin\n", Whole),
        (r"^/(?!x)admin$", b"/admin\n\n", No),
        (r"^/(?!x)admin\z", b"/admin\n", No),
        (r"(?m)^/admin$", b"/admin\nx", Whole),
        (r"(?m:a$)", b"a\n\n", Whole),
        (r"(?m)a\Z", b"a\n\n", No),
        ("(?m)^b", b"a\nb", Whole),
        (r"(?m)\n^", b"a\n", No),
        ("(?m)^", b"", Whole),
        ("a(?=[^b]*?)b", b"ab", Whole),
        (r"^a$|^b$", b"b\n", Whole),
        (r"^(a$|b$)", b"b\n", group(b"b")),
        (r"^/(.*)$", b"/x\n", group(b"x")),
        (r"^/([^y]*)$", b"/x\n", group(b"x\n")),
        (r"^/([^y]*?)$", b"/x\n", group(b"x")),
        (r"^/([^y]*?$)", b"/x\n", group(b"x")),
        (r"a$\n", b"a\n", Whole),
        (r"a$\n$", b"a\n", Whole),
        (r"a$\z", b"a\n", No),
        (r"a(?:$)?", b"a\n", Whole),
        (r"(?:a$\n?)+b", b"a\nb", No),
        ("$", b"", Whole),
        ("^$", b"\n", Whole),
        ("[$]", b"$", Whole),
        (r"\$", b"a", No),
        ("(?x) a$ # $\n", b"a\n", Whole),
        // Classes of bytes.
        (r"\s", b"\x0b", Whole),
        (r"\s", b"\xa0", No),
        (r"\d", "\u{663}".as_bytes(), No),
        (r"^\w$", b"\xe9", No),
        (r"(?i)\xe9", b"\xc9", No),
        ("(?i)straSSe", b"STRASSE", Whole),
        ("[[:alpha:]_]", b"\xe9", No),
        ("[[:^alpha:]]", b"\xe9", Whole),
        ("^[[:punct:]]+$", b"~[$", Whole),
        (".", b"\n", No),
        (".", b"\r", Whole),
        (".", b"\x85", Whole),
        ("(?s).", b"\n", Whole),
        (r"\N", b"\n", No),
        (r"(?s)\N", b"\n", No),
        (r"\h", b"\xa0", Whole),
        (r"^\h+$", b" \t", Whole),
        (r"\H", b" ", No),
        (r"[\h]", b"\t", Whole),
        (r"^[^\h]$", b"f", Whole),
        (r"^[\H]$", b"\xa0", No),
        (r"\v", b"\n", Whole),
        (r"\v", b"\x85", Whole),
        (r"\V", b"\x0b", No),
        (r"[\v]", b"\r", Whole),
        (r"^\R$", b"\r\n", Whole),
        (r"^\R\n", b"\r\n", No),
        (r"\R", b"\x85", Whole),
        (r"\e\a\f", b"\x1b\x07\x0c", Whole),
        (r"\cA\cz", b"\x01\x1a", Whole),
        (r"^\x{e9}$", b"\xe9", Whole),
        (r"^\xe9$", b"\xe9", Whole),
        (r"^[\x{e9}]$", b"\xe9", Whole),
        (r"\012\0", b"\n\0", Whole),
        (r"[\012\0]", b"\n", Whole),
        (r"[\b]", b"\x08", Whole),
        // What is special in other dialects only.
        (r"\<a\>", b"<a>", Whole),
        ("[a&&b]", b"&", Whole),
        ("[a~~b]", b"~", Whole),
        ("[[a]b]", b"[b]", Whole),
        ("[]a]", b"]", Whole),
        ("[^]a]", b"]", No),
        ("[a-]", b"-", Whole),
        ("^/{id}$", b"/{id}", Whole),
        ("a{2}", b"aa", Whole),
        ("a{", b"a{", Whole),
        ("a]}", b"a]}", Whole),
        (r"(?x)a\ [ ]\#b", b"a  #b", Whole),
        (r"a(?#$()b", b"ab", Whole),
        // Quantifiers.
        ("^a++a", b"aaa", No),
        ("^(?>a+)a", b"aaa", No),
        ("^a{1,2}+a", b"aa", No),
        ("^(a+?)a", b"aaa", group(b"a")),
        ("^(a*)*$", b"aa", group(b"")),
        ("^(?:(a)|b)*$", b"ab", group(b"a")),
        ("^(a|ab)(?:c|bcd)$", b"abcd", group(b"a")),
        // Groups once more, look-around, conditions.
        (r"^(a|b)\1$", b"aa", group(b"a")),
        (r"^(a|b)\g1$", b"aa", group(b"a")),
        (r"^(a|b)\g{1}$", b"bb", group(b"b")),
        (r"^(a|b)\g{-1}$", b"ba", No),
        (r"^(?<n>a|b)\k<n>$", b"aa", group(b"a")),
        (r"^(?<n>a|b)\k{n}$", b"aa", group(b"a")),
        (r"^(?P<n>a|b)(?P=n)$", b"aa", group(b"a")),
        (r"^(?'n'a|b)\k'n'$", b"aa", group(b"a")),
        (r"(?i)^(a)\1$", b"aA", group(b"a")),
        (r"(?<=a)b", b"ab", Whole),
        (r"(?<=a|bc)d", b"bcd", Whole),
        (r"(?<!a)b", b"ab", No),
        (r"(?=(a+))a", b"aa", group(b"aa")),
        (r"(?!(a))b", b"b", Whole),
        (r"^(?:(?!bot).)*$", b"a robot", No),
        (r"^(?:(?!bot).)*$", b"a rob", Whole),
        (r"^(a)?(?(1)b|c)$", b"ab", group(b"a")),
        (r"^(a)?(?(1)b|c)$", b"c", Whole),
        (r"a\Kb", b"ab", Whole),
        (r"\Ga", b"ba", No),
        // Flags.
        ("a(?i)b|c", b"aB", Whole),
        ("a(?i)b|c", b"C", Whole),
        ("(?:a(?i)b)c", b"aBC", No),
        ("(?i:a)b", b"Ab", Whole),
        ("(?i)a(?-i)b", b"AB", No),
        ("(?i)(?^:a)b", b"AB", No),
        ("(?i)(?^:a)b", b"aB", Whole),
        ("(?^i:a)", b"A", Whole),
        ("(?a)a", b"a", Whole),
        // What neither takes.
        ("a(", b"a", Refused),
        ("a**", b"a", Refused),
        ("*a", b"a", Refused),
        ("[b-a]", b"a", Refused),
        (r"(a)\2", b"aa", Refused),
    ]
}

#[test]
fn patterns_mean_what_they_mean_to_perl() {
    let rows = rows();
    let differ = |(pattern, text, came): &(&str, &[u8], Came), answer: Came, who: &str| {
        let text = text.escape_ascii();
        (answer != *came).then(|| format!("{pattern:?} in {text}: {answer:?} to {who}, not {came:?}"))
    };
    let wrong: Vec<_> = rows.iter().filter_map(|row| differ(row, ours(row.0, row.1), "ELB")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let asked: Vec<_> =
        rows.iter().map(|(pattern, text, _)| ((*pattern).to_owned(), text.to_vec())).collect();
    if let Some(answers) = perls(&asked) {
        let wrong: Vec<_> =
            rows.iter().zip(answers).filter_map(|(row, answer)| differ(row, answer, "Perl")).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// `\Q` is Perl's own before it comes to patterns, and PCRE's.
#[test]
fn what_is_quoted_stands_for_itself() {
    assert_eq!(ours(r"^\Q(a.$\E$", b"(a.$"), Whole);
    assert_eq!(ours(r"^\Qa.b", b"axb"), No);
    assert_eq!(ours(r"a\Eb", b"ab"), Whole);
}

/// What Perl takes and ELB does not says where.
#[test]
fn what_is_not_taken_for_what_perl_means_is_refused() {
    let parts = Parts::default();
    for (pattern, what, place) in [
        ("a{,2}", "write {0,n}", 1),
        ("ab(?R)", "calling a group", 2),
        (r"(a)\g<1>", "calling a group", 3),
        ("a(?1)", "calling a group", 1),
        ("(?|a)", "(?| is not supported", 0),
        (r"a\b{wb}", r"\b{...}", 1),
        (r"\N{U+41}", r"\N{...}", 0),
        (r"a\u0041", r"\u is not supported", 1),
        (r"a\X", r"\X is not supported", 1),
        ("a[b--c]", "inside [...]", 3),
        ("(?(?=a)b|c)", "a condition", 0),
        ("a(?n:b)", "(?n is not supported", 1),
        ("ab(?#c", "unclosed comment", 2),
        ("ab\\", "ends in a backslash", 2),
        (r"a\x{110000}", r"\x needs", 1),
    ] {
        let error = parts.pattern(pattern, false).unwrap_err();
        assert!(error.contains(what) && error.ends_with(&format!("(at byte {place})")), "{pattern}: {error}");
    }
}

#[test]
fn a_capital_that_only_a_capital_matches_is_noted() {
    let parts = Parts::default();
    for (pattern, capital) in [
        ("chrome", None),
        ("Chrome", Some(('C', 0))),
        ("a|Bot", Some(('B', 2))),
        ("(?i)Chrome", None),
        ("(?i:A)B", Some(('B', 6))),
        (r"\D\W\S[[:alpha:]]\p{Lu}", None),
        ("[A-Za-z]", None),
        ("x[A-Z]", Some(('A', 2))),
        ("[^A]", None),
        ("(?<Name>a)(?=B)", Some(('B', 13))),
        (r"\QaB\E", Some(('B', 3))),
        (r"\x41", Some(('A', 0))),
    ] {
        assert_eq!(parts.pattern(pattern, false).unwrap().capital(), capital, "{pattern}");
    }
}

/// Patterns put together at random from what is there: ELB says what Perl says.
#[test]
fn random_patterns_mean_what_they_mean_to_perl() {
    const ROUNDS: usize = 4000;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut asked = Vec::new();
    for _ in 0..ROUNDS {
        let pattern = dice.alternatives(2);
        for _ in 0..3 {
            let text: Vec<u8> = (0..dice.below(6)).map(|_| *dice.of(b"aaabbcA\n\n \xa0-")).collect();
            asked.push((pattern.clone(), text));
        }
    }
    let Some(answers) = perls(&asked) else { return };
    assert_eq!(answers.len(), asked.len());
    let (mut compared, mut differ) = (0, Vec::new());
    for ((pattern, text), answer) in asked.iter().zip(&answers) {
        let came = ours(pattern, text);
        // What one of them does not take cannot be compared; most are taken.
        if came != Refused && *answer != Refused {
            compared += 1;
            // What a group holds after a round that took nothing, or after look-around that said no, no two engines agree on.
            let is_odd = [")*", ")+", ")?", "){", "(?!"].iter().any(|odd| pattern.contains(odd));
            let agree = if is_odd { (came == No) == (*answer == No) } else { came == *answer };
            if !agree {
                let text = text.escape_ascii();
                differ.push(format!("{pattern:?} in {text}: {came:?}, Perl {answer:?}"));
            }
        }
    }
    assert!(differ.is_empty(), "{} differ, among them {:#?}", differ.len(), &differ[..differ.len().min(10)]);
    assert!(compared > asked.len() * 8 / 10, "{compared} of {}", asked.len());
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % most
    }

    fn of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn alternatives(&mut self, depth: usize) -> String {
        let mut pattern = self.sequence(depth);
        while self.below(4) == 0 {
            pattern += "|";
            pattern += &self.sequence(depth);
        }
        pattern
    }

    fn sequence(&mut self, depth: usize) -> String {
        (0..1 + self.below(4)).map(|_| self.piece(depth)).collect()
    }

    fn piece(&mut self, depth: usize) -> String {
        let places = ["^", "$", "$", r"\Z", r"\z", r"\b", r"\B", r"\A"];
        if self.below(4) == 0 {
            return (*self.of(&places)).to_owned();
        }
        let ones = [
            "a", "a", "b", "c", "A", ".", r"\n", r"\w", r"\s", r"\h", r"\V", r"\N", "[ab]", "[^a]", "[^b\\n]",
        ];
        let one = if depth == 0 || self.below(2) == 0 {
            (*self.of(&ones)).to_owned()
        } else {
            let inner = self.alternatives(depth - 1);
            let opens = ["(", "(", "(?:", "(?:", "(?>", "(?i:", "(?m:", "(?s:"];
            match self.below(12) {
                0 => return format!("(?<={})", self.of(&ones)),
                1 => return format!("(?<!{})", self.of(&ones)),
                2 => return format!("(?={inner})"),
                3 => return format!("(?!{inner})"),
                _ => format!("{}{inner})", self.of(&opens)),
            }
        };
        one + *self
            .of(&["", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,}?", "*+", "?+"])
    }
}
