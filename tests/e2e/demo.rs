//! A newcomer's first minute: `elb demo`, and the three commands that it prints, pasted into a shell.

use std::process::Command;

use crate::support::elb::Launch;
use crate::support::wait;

fn paste(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_printed_commands_do_what_is_said_of_them() {
    let mut demo = Launch::bare(&["demo", "--listen=127.0.0.1:0"]).spawn();
    let guide = wait::until("the guide", || Some(demo.printed()).filter(|text| text.contains("Ctrl-C")));
    let commands: Vec<&str> = guide.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(commands.len(), 3, "{guide}");

    let [first, second, third] = [0, 1, 2].map(|number| paste(commands[number]));

    let served = |text: &str| -> Vec<String> {
        text.split("server ").skip(1).map(|rest| rest.chars().take(1).collect()).collect()
    };
    assert_eq!(served(&first), ["2", "1"], "the ua rule: {first}");
    assert_eq!(served(&second), ["2"], "the path rule: {second}");
    assert!(third.contains(r#""msg":"OK""#), "{third}");
    assert_eq!(served(&third), ["2"], "the live change: {third}");

    demo.signal("INT");
    assert!(demo.exit().success());
}
