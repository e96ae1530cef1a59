//! Some hundred paths that servers are known to read differently: every combination of a place, a way up and a goal.

/// Where a path begins.
const PLACES: [&str; 9] = [
    "/public",
    "/files",
    "/public/a",
    "/files/a%2Fb",
    "/files/a%5Cb",
    "//public",
    "/%70ublic",
    "/PUBLIC",
    "/files/;v=1",
];

/// What separates it from the rest, and may lead up.
const WAYS: [&str; 34] = [
    "/",
    "//",
    "/./",
    "/../",
    "/%2e%2e/",
    "/.%2E/",
    "/%2e/",
    "\\",
    "\\..\\",
    "/..\\",
    "%2f",
    "%2F..%2f",
    "/..%2f",
    "/%2e%2e%2f",
    "%5c",
    "%5c..%5c",
    "/..%5C",
    "/..;/",
    "/;/",
    "/..;x=1/",
    "/%252e%252e/",
    "/..%252f",
    "%252f",
    "/%c0%ae%c0%ae/",
    "/%e0%80%ae/",
    "/..%00/",
    "/%00/",
    "/...",
    "/.../",
    "/..%3b/",
    "/..%23/",
    "/%3f/",
    "/..%20/",
    "/%09../",
];

/// Where it leads.
const GOALS: [&str; 9] = [
    "",
    "admin",
    "admin/",
    "admin/users",
    "index",
    "files/index",
    "%61dmin/users",
    "admin%2fusers",
    "..%2fadmin/users",
];

/// Others, one by one.
const OTHERS: [&str; 33] = [
    "/",
    "",
    "*",
    "admin",
    "http://door/admin",
    "/admin",
    "/admin/",
    "/admin.",
    "/admin%2e",
    "/admin/..",
    "/admin/.",
    "/admin/..;",
    "/admin;x=1/users",
    "/admin%00/users",
    "/admin%0a/users",
    "/admin%20/users",
    "/files/index/",
    "/files/index%2f",
    "/files/index;",
    "/files%2findex",
    "/files%2Findex",
    "/%66iles/index",
    "/files/%69ndex",
    "/files//index",
    "/files/./index",
    "/files/x/../index",
    "/files/a%2Fb%2Fc",
    "/files/caf%C3%A9",
    "/files/caf%c3%a9",
    "/files/%ff",
    "/files/%e2%82%ac",
    "/a%zz",
    "/a?b#c",
];

pub(crate) fn paths() -> Vec<String> {
    let mut paths: Vec<String> = OTHERS.iter().map(|&path| path.to_owned()).collect();
    for place in PLACES {
        for way in WAYS {
            paths.extend(GOALS.iter().map(|goal| format!("{place}{way}{goal}")));
        }
    }
    paths
}
