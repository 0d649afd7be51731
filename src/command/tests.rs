use super::*;
use crate::resp::ArgVec;

fn request(line: &str) -> ArgVec {
    line.split(' ').collect()
}

fn known(line: &str) -> &'static Command {
    match lookup(&request(line).args()) {
        Lookup::Known(command) => command,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn ids_are_dense_and_names_lead_to_them() {
    for (i, command) in all().iter().enumerate() {
        assert_eq!(usize::from(command.id), i);
        assert_eq!(by_name(command.name.as_bytes()).map(|c| c.id), Some(command.id), "{}", command.name);
        assert_eq!(known(&command.name.to_uppercase().replace('|', " ")).name, command.name);
    }
}
