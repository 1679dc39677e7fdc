//! From the words of a command line and the variables around it to what is to be done.
//!
//! It owns precedence (flag, variable, default) and the wording of faults, never a flag's name or meaning, and it reads
//! no environment: see [`Surroundings`]. Next: [`args`](super::args) for the flags, [`effective`](super::effective) for
//! what they come to.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::args::{Action, CommandLine, DemoArgs};
use super::commands::{
    CheckArgs, CompletionsArgs, ExplainArgs, FleetCommandArgs, GraphArgs, HealthArgs, ManArgs, TopArgs,
};
use super::ctl::CtlArgs;
use super::effective::Settings;
use super::fault::Fault;
use super::migration::Migration;
use super::surroundings::Surroundings;
use super::unknown;

/// Variables that stand for no flag of their own; `effective` reads them.
pub(super) const SINGLE: [&str; 6] =
    ["ELB_ADMIN_TOKEN", "ELB_ETCD_PASSWORD", "ETCD_URL", "ETCD", "ETCD_HOST", "ETCD_PORT"];

/// The one command that is told where etcd is as `elb` itself is.
const MIGRATE: &str = "migrate-v2";

/// What is to be done.
#[derive(Debug)]
pub enum Invocation {
    /// Serve.
    Run(Box<Settings>),
    /// Show a newcomer around.
    Demo(DemoArgs),
    /// Check a file of rules and upstreams.
    Check(CheckArgs),
    /// Say what would become of a request.
    Explain(ExplainArgs),
    /// Draw the rules of a domain.
    Graph(GraphArgs),
    /// Ask whether an ELB should get traffic.
    Health(HealthArgs),
    /// Show all ELBs that share a configuration.
    Fleet(FleetCommandArgs),
    /// Watch what an ELB does.
    Top(TopArgs),
    /// Use the admin API.
    Ctl(CtlArgs),
    /// Print completions of a shell.
    Completions(CompletionsArgs),
    /// Print manual pages.
    Man(ManArgs),
    /// Copy what etcd's v2 API has to where v3 finds it.
    Migrate(Box<Migration>),
}

impl Settings {
    /// What the flags come to on one core, with no variables and no files around: for the demo, tests and benches.
    ///
    /// # Errors
    /// A fault in the flags.
    pub fn from_flags(flags: &[&str]) -> Result<Settings, Fault> {
        let around = Surroundings {
            variable: &|_| None,
            read: &|_| Err(std::io::ErrorKind::NotFound.into()),
            names: &[],
            cores: 1,
            core_numbers: &[],
        };
        match parse(std::iter::once(&"elb").chain(flags), &around)? {
            Invocation::Run(settings) => Ok(*settings),
            _ => Err(Fault::usage("flags expected, not a command")),
        }
    }
}

/// Reads a command line; its first word is the program's name.
///
/// # Errors
/// Anything but a command that can be carried out, including a request for help.
pub fn parse<I>(words: I, around: &Surroundings<'_>) -> Result<Invocation, Fault>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let (command, variables) = command();
    let given = command.clone().try_get_matches_from(&words)?;
    let mut command_line = CommandLine::from_arg_matches(&given)?;
    match command_line.action.take() {
        Some(Action::Demo(args)) => Ok(Invocation::Demo(args)),
        Some(Action::Check(args)) => Ok(Invocation::Check(args)),
        Some(Action::Explain(args)) => Ok(Invocation::Explain(args)),
        Some(Action::Graph(args)) => Ok(Invocation::Graph(args)),
        Some(Action::Health(args)) => Ok(Invocation::Health(args)),
        Some(Action::Fleet(args)) => Ok(Invocation::Fleet(args)),
        Some(Action::Top(args)) => Ok(Invocation::Top(args)),
        Some(Action::Ctl(args)) => Ok(Invocation::Ctl(args)),
        Some(Action::Completions(args)) => Ok(Invocation::Completions(args)),
        Some(Action::Man(args)) => Ok(Invocation::Man(args)),
        Some(Action::MigrateV2(_)) => {
            let (sub, given) = (command.find_subcommand(MIGRATE), given.subcommand_matches(MIGRATE));
            if let Some((sub, given)) = sub.zip(given) {
                let alone = sub.clone().mut_args(|arg| arg.required(false));
                let found = from_variables(&alone, &variables, given, around)?;
                words.splice(words.len().min(2)..words.len().min(2), found);
            }
            match CommandLine::from_arg_matches(&command.try_get_matches_from(&words)?)?.action {
                Some(Action::MigrateV2(args)) => {
                    Migration::new(&args, around).map(Box::new).map(Invocation::Migrate)
                }
                _ => Err(Fault::usage("variables have become another command")),
            }
        }
        None => {
            // Variables join as the flags they stand for, so both are read by the same rules.
            let found = from_variables(&command, &variables, &given, around)?;
            words.splice(words.len().min(1)..words.len().min(1), found);
            let all = CommandLine::from_arg_matches(&command.clone().try_get_matches_from(&words)?)?;
            let mut settings = Settings::new(&all.run, around)?;
            let known = spellings(&command, &variables);
            settings.warnings.extend(unknown::warnings(around.names, &known, around.variable));
            Ok(Invocation::Run(Box::new(settings)))
        }
    }
}

/// The command line as clap knows it, for completions and manual pages.
#[must_use]
pub fn command_line() -> Command {
    command().0
}

/// The command, and which variable stands for which flag. Clap would read variables itself, from the process and without
/// saying so in an error, so their names are taken off the flags and put into the help.
pub(super) fn command() -> (Command, Vec<(String, String)>) {
    let mut variables = Vec::new();
    let command = CommandLine::command().mut_args(|arg| {
        let (arg, variable) = without_variable(arg);
        variables.extend(variable);
        arg
    });
    // Its flags with variables are flags of `elb` as well.
    let command = command.mut_subcommand(MIGRATE, |sub| sub.mut_args(|arg| without_variable(arg).0));
    (command, variables)
}

/// The flag with its variable in its help alone, and which one that is: its id, and the name.
fn without_variable(arg: Arg) -> (Arg, Option<(String, String)>) {
    let Some(name) = arg.get_env().and_then(OsStr::to_str).map(str::to_owned) else { return (arg, None) };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = match help.split_once(" [default: ") {
        Some((help, default)) => format!("{help} [env: {name}] [default: {default}"),
        None => format!("{help} [env: {name}]"),
    };
    let variable = (arg.get_id().to_string(), name);
    (arg.env(None::<&str>).help(help), Some(variable))
}

/// Every variable, each with another name that one may take it for: that of its flag, or its own behind `ELB_`.
fn spellings(command: &Command, variables: &[(String, String)]) -> Vec<(String, String)> {
    let of_flag = |id: &str| format!("ELB_{}", id.to_ascii_uppercase());
    let alone = SINGLE.iter().map(|name| (format!("ELB_{name}"), (*name).to_owned()));
    let flags = command.get_arguments().filter_map(|arg| {
        let id = arg.get_id().as_str();
        let (_, variable) = variables.iter().find(|(of, _)| of == id)?;
        Some((of_flag(id), variable.clone()))
    });
    flags.chain(alone).collect()
}

/// The variables that no flag beats, as flags.
fn from_variables(
    command: &Command,
    variables: &[(String, String)],
    given: &ArgMatches,
    around: &Surroundings<'_>,
) -> Result<Vec<OsString>, Fault> {
    let mut words = Vec::new();
    for (id, name) in variables {
        let Some(arg) = command.get_arguments().find(|arg| arg.get_id() == id.as_str()) else { continue };
        let by_flag = given.value_source(id) == Some(ValueSource::CommandLine);
        let value = (around.variable)(name).filter(|value| !by_flag && !value.is_empty());
        if let Some(value) = value {
            words.extend(as_flag(command, arg, name, &value)?);
        }
    }
    Ok(words)
}

/// One variable as a flag, or nothing when it turns a switch off. It is tried alone first, so that a fault can name it.
fn as_flag(command: &Command, arg: &Arg, name: &str, value: &OsStr) -> Result<Option<OsString>, Fault> {
    let mut word = OsString::from("--");
    word.push(arg.get_long().unwrap_or_default());
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        let on = switch(value).ok_or_else(|| {
            Fault::usage(format!("the variable {name} must be 1 or 0, true or false, yes or no, on or off"))
        })?;
        return Ok(on.then_some(word));
    }
    word.push("=");
    word.push(value);
    match command.clone().try_get_matches_from([OsStr::new("elb"), word.as_os_str()]) {
        Ok(_) => Ok(Some(word)),
        // Whether the flag that it needs beside it is there is seen when all of them stand together.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => Ok(Some(word)),
        Err(error) => {
            let told = error.to_string();
            let told = told.strip_prefix("error: ").unwrap_or(&told);
            let told = told.split("\n\n").next().unwrap_or(told);
            Err(Fault::usage(format!("{told}\n  from the variable {name}")))
        }
    }
}

fn switch(value: &OsStr) -> Option<bool> {
    match value.to_str()?.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}
