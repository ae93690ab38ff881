"""A carrier made of kamailio: takes a customer's registration, its calls, and calls it by its numbers."""

from __future__ import annotations

from pathlib import Path

from tests.wire.kamailio import Kamailio

USERNAME, PASSWORD = "alice", "carrier-secret"

_SCRIPT = """\
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("registrar", "max_expires", {expires})
modparam("registrar", "min_expires", 1)
modparam("auth", "secret", "of the test")
modparam("auth", "algorithm", "{algorithm}")
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("carrier.example", "{password}", "0")) {{
            www_challenge("carrier.example", "1");
            exit;
        }}
        save("location");
        exit;
    }}
    record_route();
    if ($ua =~ "^Ringback") {{
        # A call of the customer's: to the phone, if the password is right.
        if (!pv_proxy_authenticate("carrier.example", "{password}", "0")) {{
            proxy_challenge("carrier.example", "1");
            exit;
        }}
        consume_credentials();
        $du = "sip:127.0.0.1:{phone}";
        t_relay();
        exit;
    }}
    # A call to the customer: to where it has registered. To keeps the number.
    $rU = "{username}";
    if (!lookup("location")) {{ sl_send_reply("480", "Not Registered"); exit; }}
    t_relay();
}}
"""


def carrier(
    folder: Path, *, phone: int = 9, algorithm: str = "MD5", expires: int = 60, port: int = 0
) -> Kamailio:
    """A carrier that sends what its customer calls to the port `phone` of loopback."""
    script = _SCRIPT.format(
        phone=phone, username=USERNAME, password=PASSWORD, algorithm=algorithm, expires=expires
    )
    return Kamailio(folder, script, port=port)
