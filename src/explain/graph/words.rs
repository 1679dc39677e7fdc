//! A rule set in the languages of drawing programs: DOT, Mermaid, and SVG made of DOT.
//!
//! It owns how a name is escaped in each. Next: [`read`](super::read) for what is drawn.

use std::fmt::Write;

use layout::backends::svg::SVGWriter;
use layout::gv::{DotParser, GraphBuilder};

use super::read::Drawing;

impl Drawing {
    /// The language of Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = format!("digraph {} {{\n", quoted(&self.domain));
        for (at, rule) in self.rules.iter().enumerate() {
            let shape = if rule.links.is_empty() { "box" } else { "ellipse" };
            let label = quoted(&format!("{}: {}\n{}", rule.name, rule.kind, rule.about));
            let style = if rule.is_reached { "" } else { ", style=dashed" };
            let _ = writeln!(out, "  r{at} [label={label}, shape={shape}{style}];");
        }
        for (at, rule) in self.rules.iter().enumerate() {
            for (word, to) in &rule.links {
                let _ = writeln!(out, "  r{at} -> r{to} [label={}];", quoted(word));
            }
        }
        out + "}\n"
    }

    /// The language of Mermaid, which Markdown pages are drawn with.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        for (at, rule) in self.rules.iter().enumerate() {
            let label = entities(&format!("{}: {} {}", rule.name, rule.kind, rule.about));
            let (open, close) = if rule.links.is_empty() { ('[', ']') } else { ('(', ')') };
            let _ = writeln!(out, "  r{at}{open}\"{}\"{close}", label.trim_end());
        }
        for (at, rule) in self.rules.iter().enumerate() {
            for (word, to) in &rule.links {
                let _ = writeln!(out, "  r{at} -->|{}| r{to}", entities(word));
            }
        }
        out
    }

    /// A picture.
    ///
    /// # Errors
    /// What the drawing library says.
    pub fn svg(&self) -> Result<String, String> {
        let dot = self.dot();
        let mut parser = DotParser::new(&dot);
        let graph = parser.process()?;
        let mut builder = GraphBuilder::new();
        builder.visit_graph(&graph);
        let (mut picture, mut writer) = (builder.get(), SVGWriter::new());
        picture.do_it(false, false, false, &mut writer);
        Ok(writer.finalize())
    }
}

/// A string of DOT. Control bytes are left out but for the line end, which is written as such.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out + "\""
}

/// Mermaid has no escape, and takes entities.
fn entities(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || " /.:_-=^$*+".contains(letter);
    text.chars()
        .map(|letter| if plain(letter) { letter.into() } else { format!("#{};", u32::from(letter)) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drawing() -> Drawing {
        let rules = json!({"init": "a", "rules": {
            "a": {"type": "path", "args": {"pattern": "/\"\\", "succ": "b<", "fail": "b<"}},
            "b<": {"type": "backend", "args": {"servername": "up1"}}}});
        Drawing::read("d.test", &rules).unwrap()
    }

    #[test]
    fn dot_and_mermaid_name_what_they_draw() {
        let expected = r#"digraph "d.test" {
  r0 [label="a: path\n/\"\\", shape=ellipse];
  r1 [label="b<: backend\nup1", shape=box];
  r0 -> r1 [label="succ"];
  r0 -> r1 [label="fail"];
}
"#;
        assert_eq!(drawing().dot(), expected);
        let expected = "flowchart TD
  r0(\"a: path /#34;#92;\")
  r1[\"b#60;: backend up1\"]
  r0 -->|succ| r1
  r0 -->|fail| r1
";
        assert_eq!(drawing().mermaid(), expected);
    }

    #[test]
    fn svg_is_a_picture_with_the_names_in_it() {
        let svg = drawing().svg().unwrap();
        assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("path") && svg.contains("up1") && !svg.contains("b<:"), "{svg}");
    }
}
