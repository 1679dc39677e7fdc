//! Numbers in decimal digits, without the formatting machinery: a line has a dozen of them.
//!
//! It owns no more than that.

/// Appends a number.
pub(super) fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number of thousandths with three digits behind the point.
pub(super) fn thousandths(out: &mut Vec<u8>, number: u64) {
    decimal(out, number / 1000);
    let rest = number % 1000;
    let digit = |number: u64| b'0' + (number % 10) as u8;
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_have_three_digits() {
        let mut out = Vec::new();
        for number in [0, 7, 45, 999, 1000, 12_045] {
            thousandths(&mut out, number);
            out.push(b' ');
        }
        assert_eq!(out, b"0.000 0.007 0.045 0.999 1.000 12.045 ");
    }
}
