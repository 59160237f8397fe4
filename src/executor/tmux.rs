//! Runs executions in tmux sessions, so that a person can attach to them.
//!
//! Each execution has its own tmux server, and the server's socket lies in the execution's
//! directory. So a `kill-server` or a fault of one server does not reach another execution. The
//! server's environment is the one that the script may see, not that of the session that came
//! first. Names cannot be confused. tmux runs the shim on the session's terminal, with the same
//! arguments as the hub would. When somebody closes the session, the shim receives HUP and ends the
//! execution.
//!
//! tmux expands `#(command)` in names and in `-c`, and splits its arguments at `;`. So this module
//! makes names from the execution's number alone, sets the directory as the client's working
//! directory, and escapes arguments. tmux runs the command without a shell. It does not read the
//! user's configuration, which could close sessions that nobody is attached to.
//!
//! Rejected: one server for all executions. It is easier to list, but its end would end all
//! executions. Also rejected: a viewer of the log beside the script. Nobody could answer a question
//! that the script asks on the terminal.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use tokio::process::Command;

use super::contract::SHIM_VARIABLE;
use super::directory::Directory;
use super::processes::Mark;
use super::shim;

/// The longest path of a socket: `sun_path` of unix(7) without its NUL.
const SOCKET_BYTES_MAX: usize = 107;
/// An execution number that no hub reaches; `check` computes the longest path with it.
const NUMBER_MAX: i64 = 9_999_999_999;
/// How long to wait for tmux. A tmux that hangs must not delay the execution's end.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Precedes what tmux printed, in an error.
const SPEAKER: &str = "tmux: ";
/// How tmux reports that the machine had no process, memory or file left. The last two mean that
/// the server could not start; so does a client that prints nothing.
const SHORTAGES: [&str; 5] = [
    "Resource temporarily unavailable",
    "Cannot allocate memory",
    "Too many open files",
    "server exited unexpectedly",
    "lost server",
];
/// The terminal's size while nobody is attached. An attached terminal brings its own size.
const SIZE: [&str; 4] = ["-x", "120", "-y", "40"];

/// Checks at the start that the hub will be able to start sessions.
///
/// # Errors
/// A message for the operator, with advice.
pub(super) fn check(data_dir: &Path) -> Result<(), String> {
    let longest = Directory::of(data_dir, NUMBER_MAX).tmux_socket();
    let excess = longest.as_os_str().len().saturating_sub(SOCKET_BYTES_MAX);
    if excess > 0 {
        return Err(format!(
            "the path of the data directory, {}, is {excess} bytes too long for the sockets of tmux; choose a shorter \
             one, or --sessions process",
            data_dir.display()
        ));
    }
    let version = std::process::Command::new("tmux").arg("-V").stdin(Stdio::null()).output();
    match version {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(format!("tmux -V ended with {}; --sessions process does without tmux", output.status))
        }
        Err(error) => Err(format!(
            "tmux cannot be run: {error}; install it (`apt-get install tmux`), or choose --sessions process"
        )),
    }
}

/// Starts a shim for a prepared directory in its own session. Answers the shim's process, if tmux
/// printed it.
///
/// # Errors
/// What tmux printed. The session may have started all the same: only the lock tells.
pub(super) async fn begin(
    program: &Path,
    directory: &Directory,
    session: &str,
    mark: &Mark,
) -> io::Result<Option<Pid>> {
    let mut command = tmux(&directory.tmux_socket());
    command
        .envs([mark.of_shim()])
        .args(["new-session", "-d", "-P", "-F", "#{pane_pid}", "-s", session, "-n", session])
        .args(SIZE)
        .arg(whole(program.as_os_str()))
        .args(["shim", "--terminal"])
        .arg(whole(directory.path().as_os_str()))
        .current_dir(directory.path());
    let said = answer(command).await?;
    Ok(said.trim().parse().ok().and_then(Pid::from_raw))
}

/// Whether an error says that the tmux client or its server lacked a process, memory or a file.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let said = error.to_string();
    let says_nothing = said.strip_prefix(SPEAKER).is_some_and(|words| words.trim().is_empty());
    shim::is_shortage(error) || says_nothing || SHORTAGES.iter().any(|words| said.contains(words))
}

/// Ends the tmux server of an execution that has ended: a person may have opened more windows in
/// it.
pub(super) async fn end(directory: &Directory) {
    let Ok(socket) = directory.absolute().map(|place| place.tmux_socket()) else {
        return;
    };
    if socket.exists() {
        let mut command = tmux(&socket);
        command.arg("kill-server");
        // It fails when the server has ended by itself, which is fine.
        let _ = answer(command).await;
    }
}

/// The command that a person types to attach, if there is a session.
pub(super) fn attach_command(directory: &Directory, session: &str) -> Option<String> {
    let socket = directory.tmux_socket();
    let quoted = format!("'{}'", socket.to_str()?.replace('\'', r"'\''"));
    // Quoted, because zsh treats a word that begins with `=` specially.
    socket.exists().then(|| format!("tmux -S {quoted} attach-session -t '={session}'"))
}

fn tmux(socket: &PathBuf) -> Command {
    let mut command = Command::new("tmux");
    command.args(["-f", "/dev/null", "-S"]).arg(socket);
    command.env_clear().envs(shim::inherited_environment()).env(SHIM_VARIABLE, "tmux");
    command
}

/// The output of a command that succeeds.
async fn answer(mut command: Command) -> io::Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(ANSWER_TIME_MAX, command.output()).await {
        Ok(output) => output?,
        Err(_) => return Err(io::Error::new(ErrorKind::TimedOut, "tmux does not answer")),
    };
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(io::Error::other(format!("{SPEAKER}{}", text(&output.stderr)))),
    }
}

/// Escapes an argument for tmux: a `;` at its end would begin another command.
fn whole(argument: &OsStr) -> OsString {
    match argument.as_bytes().strip_suffix(b";") {
        Some(rest) => OsString::from_vec([rest, br"\;"].concat()),
        None => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_too_long_for_a_socket_is_refused_with_advice() {
        let error = check(Path::new(&format!("/{}", "x".repeat(80)))).expect_err("too long");
        assert!(error.contains("1 bytes too long") && error.contains("--sessions process"), "{error}");
    }

    #[test]
    fn what_is_to_be_typed_can_be_typed_in_any_directory() {
        let data = tempfile::Builder::new().prefix("it's $HOME #(x) ").tempdir().expect("a directory");
        let directory = Directory::of(data.path(), 7);
        assert_eq!(attach_command(&directory, "taskhub-7"), None);
        std::fs::create_dir_all(directory.path()).expect("made");
        std::fs::write(directory.tmux_socket(), "").expect("written");
        let command = attach_command(&directory, "taskhub-7").expect("a session");
        let script = format!("set -- {command}; printf '%s|' \"$@\"");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("ran");
        let expected = format!("tmux|-S|{}|attach-session|-t|=taskhub-7|", directory.tmux_socket().display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }

    #[test]
    fn a_shortage_is_told_from_other_faults() {
        let of_tmux = |words: &str| io::Error::other(format!("{SPEAKER}{words}"));
        assert!(is_shortage(&of_tmux("")));
        assert!(is_shortage(&of_tmux("create window failed: fork failed: Resource temporarily unavailable")));
        assert!(is_shortage(&rustix::io::Errno::AGAIN.into()));
        assert!(!is_shortage(&of_tmux("duplicate session: taskhub-7")));
    }

    #[test]
    fn no_argument_ends_before_its_end() {
        assert_eq!(whole(OsStr::new("/a;b")), OsStr::new("/a;b"));
        assert_eq!(whole(OsStr::new("/a;")), OsStr::new(r"/a\;"));
    }
}
