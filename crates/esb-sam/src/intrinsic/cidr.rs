//! `Fn::Cidr`: address ranges, by arithmetic alone.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
};

use super::symbolic;
use crate::{codes, evaluator::Evaluator, findings::quote, value::Value, yaml::Node};

pub(super) fn cidr(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let span = node.span();
    let (block, count, bits) = match argument.items() {
        Some([block, count]) => (block, count, None),
        Some([block, count, bits]) => (block, count, Some(bits)),
        _ => {
            this.error(codes::INTRINSIC, span, "`Fn::Cidr` needs a range and a count");
            return Value::unknown(symbolic(node));
        }
    };
    let mut operands = Vec::new();
    for operand in [Some(block), Some(count), bits].into_iter().flatten() {
        match this.eval(operand) {
            Value::Text(text) => operands.push(text),
            Value::Unknown(_) => return Value::unknown(symbolic(node)),
            _ => {
                this.error(codes::INTRINSIC, span, "the operands of `Fn::Cidr` must be texts");
                return Value::unknown(symbolic(node));
            }
        }
    }
    let count = operands[1].text.trim().parse::<usize>().ok();
    let limit = this.run.limits().cidr;
    let ranges = count.filter(|count| (1..=limit).contains(count)).and_then(|count| {
        subnets(&operands[0].text, count, operands.get(2).map(|text| &*text.text))
    });
    if let Some(ranges) = ranges {
        Value::list(ranges.into_iter().map(Value::text).collect())
    } else {
        let message = format!("{} cannot be divided like this", quote(operands[0].shown()));
        this.error(codes::INTRINSIC, span, message);
        Value::unknown(symbolic(node))
    }
}

/// The first `count` ranges with `bits` host bits (default 8) inside a block.
fn subnets(block: &str, count: usize, bits: Option<&str>) -> Option<Vec<String>> {
    let (address, prefix) = block.trim().split_once('/')?;
    let prefix: u32 = prefix.parse().ok()?;
    let host: u32 = bits.map_or(Some(8), |bits| bits.trim().parse().ok())?;
    let (number, width) = match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    if prefix > width || host == 0 || host > width - prefix || host >= 128 {
        return None;
    }
    let size = 1_u128 << host;
    let available = 1_u128.checked_shl(width - prefix - host).unwrap_or(u128::MAX);
    if u128::try_from(count).ok()? > available {
        return None;
    }
    let whole = width - prefix;
    let base = if whole >= 128 { 0 } else { number >> whole << whole };
    (0..count)
        .map(|index| {
            let start = base.checked_add(size.checked_mul(index as u128)?)?;
            let address = if width == 32 {
                IpAddr::V4(Ipv4Addr::from(u32::try_from(start).ok()?))
            } else {
                IpAddr::V6(Ipv6Addr::from(start))
            };
            Some(format!("{address}/{}", width - host))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::subnets;

    #[test]
    fn divides_ranges() {
        for (block, count, bits, expected) in [
            ("10.0.0.0/16", 2, Some("8"), Some("10.0.0.0/24 10.0.1.0/24")),
            (
                "192.168.0.77/24",
                3,
                Some("5"),
                Some("192.168.0.0/27 192.168.0.32/27 192.168.0.64/27"),
            ),
            ("2001:db8::/56", 2, Some("64"), Some("2001:db8::/64 2001:db8:0:1::/64")),
            ("10.0.0.0/24", 2, None, None),
            ("10.0.0.0/33", 1, Some("1"), None),
            ("10.0.0.0/16", 1, Some("0"), None),
            ("::/0", 2, Some("127"), Some("::/1 8000::/1")),
            ("nonsense", 1, None, None),
        ] {
            let ranges = subnets(block, count, bits).map(|ranges| ranges.join(" "));
            assert_eq!(ranges.as_deref(), expected, "{block}");
        }
    }
}
