//! CVE-2025-64484 (and Traefik's underscore and dot aliases): `X_Firegate_User_Id` reaches a service that reads it as
//! `X-Firegate-User-Id`.

use serde_json::Value;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_protected_header_survives() {
    let site = Site::open().await;
    let names = [
        "X-Firegate-User-Id",
        "X_Firegate_User_Id",
        "X.Firegate.User.Id",
        "x-firegate_user-id",
        "X-Firegate-Anything",
        "X_Serverless_Authorization",
        "X-Forwarded_For",
        "X_Forwarded_Authorization",
        "X-Goog_Authenticated-User-Email",
        "X_Goog_IAP_JWT_Assertion",
        "X-Endpoint-API_UserInfo",
        "X_Apigateway_Api_Userinfo",
        "Forwarded",
        "X_Real_IP",
        "Client-IP",
        "CLIENT_IP",
        "X-Cluster-Client-IP",
        "X_Original_Forwarded_For",
        "CF-Connecting-IP",
        "CF_Connecting_IPv6",
        "Fastly-Client-IP",
        "True_Client_IP",
        "X-Original-Host",
        "X-Host",
        "X_Original_URI",
        "X-Original-Method",
        "X-Script-Name",
        "X_Scheme",
        "Proxy",
        // lighttpd writes every byte of a name that is no letter or digit as `_` for CGI and FastCGI.
        "X~Firegate~User~Id",
        "X!Firegate+User'Id",
        "X|Serverless-Authorization",
        "X^Forwarded`For",
        "Client*IP",
    ];
    for path in ["/public/a", "/a"] {
        let mut call = site.call(path).bearer(&site.token());
        for name in names {
            call = call.header(name, "forged");
        }
        let seen = site.send(call).await.ok();
        let headers = seen["headers"].as_object().expect("headers");
        let forged =
            headers.iter().filter(|(_, value)| value.to_string().contains("forged")).collect::<Vec<_>>();
        assert!(forged.is_empty(), "{path}: {forged:?}");
        assert_ne!(headers.get("x-firegate-user-id"), None::<&Value>, "{path}");
    }
    site.close().await;
}
