"""`scan`, `merge` and `grade` give what the program gives, byte for byte, and fail with its words."""

import json
import pickle

import pytest
import tlscov

CAPTURES = ["office.pcapng", "mail.pcap", "quic.pcap", "weak-handshakes.pcap", "smb.pcap", "dns.pcap"]


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_report_is_that_of_the_program(program, capture):
    path = f"testdata/{capture}"
    assert tlscov.scan(path).to_json() == program("scan", path, "--format", "json")


def test_options_are_those_of_the_program(program, tmp_path):
    labels = tmp_path / "sites.csv"
    labels.write_text("192.0.2.0/24,the office\n")
    cases = [
        (["testdata"], {}, []),
        (["testdata/https.pcap", "testdata/http.pcap"], {"continued": True}, ["--continue"]),
        (["testdata/tls1*.pcap"], {"jobs": 1, "max_memory": "100M"}, ["--jobs", "1", "--max-memory", "100M"]),
        (["testdata/https.pcap"], {"max_memory": 100_000_000}, ["--max-memory", "100000000"]),
        (
            ["testdata/office.pcapng"],
            {"policy": ["bcp195", "mozilla-modern"], "as_of": "2020-01-01", "interval": "1m"},
            ["--policy", "bcp195", "--policy", "mozilla-modern", "--as-of", "2020-01-01", "--interval", "1m"],
        ),
        (
            ["testdata/office.pcapng"],
            {"by": ["service", "vlan"], "local": ("192.0.2.1/32", "2001:db8::1/128"), "labels": labels, "names": True},
            ["--by", "service,vlan", "--local", "192.0.2.1/32,2001:db8::1/128", "--labels", labels, "--names"],
        ),
    ]
    for paths, options, words in cases:
        want = program("scan", *paths, *words, "--quiet", "--format", "json")
        given = paths if len(paths) > 1 else paths[0]
        with pytest.warns(tlscov.CaptureWarning) if paths == ["testdata"] else _nothing():
            assert tlscov.scan(given, **options).to_json() == want, (paths, options)


class _nothing:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


def test_a_report_is_a_value(program):
    report = tlscov.scan("testdata/office.pcapng")
    known = json.loads(report.to_json())
    assert report.to_dict() == known == dict(report)
    assert report["coverage"]["encrypted_share"]["value"] == 0.75684
    assert list(report.keys()) == list(known)
    assert repr(report) == "<tlscov.Report: 75.7% encrypted, captures: 1>"
    assert report == tlscov.Report.from_json(report.to_json()) == pickle.loads(pickle.dumps(report))
    assert report != tlscov.scan("testdata/mail.pcap") and report != 1
    report.to_dict()["coverage"].clear()
    assert report.to_dict() == known, "a dictionary that is given away is no part of the report"
    with pytest.raises(KeyError):
        report["covrage"]


def test_other_formats_are_those_of_the_program(program):
    report = tlscov.scan("testdata/office.pcapng")
    for name in ["json", "text", "markdown", "html", "csv", "prometheus", "cbom", "benchmark", "bmf"]:
        assert report.render(name) == program("scan", "testdata/office.pcapng", "--format", name), name
    with pytest.raises(ValueError, match='"pdf" is no format; expected one of json, text'):
        report.render("pdf")


def test_a_merge_is_that_of_the_program(program, tmp_path):
    reports = [tlscov.scan(f"testdata/{capture}") for capture in CAPTURES]
    paths = []
    for number, report in enumerate(reports):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(report.to_json())
    want = program("merge", *paths, "--format", "json")
    assert tlscov.merge(paths).to_json() == want
    assert tlscov.merge(reversed(reports)).to_json() == want
    assert tlscov.merge(part for part in [tlscov.merge(reports[:4]), str(paths[4]), reports[5]]).to_json() == want
    assert tlscov.scan([f"testdata/{capture}" for capture in CAPTURES]).to_json() == want


def test_grades_are_those_of_the_program(program):
    cases = [
        (["0x1301"], {}, []),
        (["TLS_RSA_WITH_AES_128_GCM_SHA256", "0xc02f"], {"policy": "bcp195"}, ["--policy", "bcp195"]),
        (["0xc02f"], {"as_of": "2018-08-01", "tls": "1.2"}, ["--as-of", "2018-08-01", "--tls", "1.2"]),
    ]
    for suites, options, words in cases:
        assert tlscov.grade(suites, **options) == json.loads(program("grade", *suites, *words, "--format", "json"))
    assert tlscov.grade("0x1301")[0]["suite"] == "TLS_AES_128_GCM_SHA256"


def test_mistakes_have_the_words_of_the_program(program, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    https = "testdata/https.pcap"
    scan, flows, merge, grade = tlscov.scan, tlscov.flows, tlscov.merge, tlscov.grade
    cases = [
        (lambda: scan("no.pcap"), tlscov.InputError, ["scan", "no.pcap"]),
        (lambda: scan(["no.pcap", https]), tlscov.InputError, ["scan", "no.pcap", https, "--strict"]),
        (lambda: scan("README.md"), tlscov.InputError, ["scan", "README.md"]),
        (lambda: scan(https, policy="bcp-195"), None, ["scan", https, "--policy", "bcp-195"]),
        (lambda: scan(https, as_of="today"), tlscov.UsageError, ["scan", https, "--as-of", "today"]),
        (lambda: scan(https, interval="7y"), tlscov.UsageError, ["scan", https, "--interval=7y"]),
        (lambda: scan(https, by="colour"), tlscov.UsageError, ["scan", https, "--by=colour"]),
        (lambda: flows("no.pcap"), tlscov.InputError, ["flows", "no.pcap"]),
        (lambda: flows("README.md").__arrow_c_stream__(), tlscov.InputError, ["flows", "README.md"]),
        (lambda: flows(https, jobs=0), tlscov.UsageError, ["flows", https, "--jobs=0"]),
        (lambda: merge(["no.json"]), tlscov.InputError, ["merge", "no.json"]),
        (lambda: merge([broken]), tlscov.InputError, ["merge", broken]),
        (lambda: grade("TLS_RSA"), None, ["grade", "TLS_RSA"]),
        (lambda: grade("0xc02f", tls="2"), tlscov.UsageError, ["grade", "0xc02f", "--tls", "2"]),
    ]
    for call, kind, words in cases:
        with pytest.raises(tlscov.Error) as raised:
            call()
        said = program.error(*words)
        # What the command line has of an option's value stands behind the option here.
        assert str(raised.value).endswith(said), (words, said)
        assert kind is None or type(raised.value) is kind, words
    with pytest.raises(tlscov.InputError):
        tlscov.Report.from_json("{}")
    with pytest.raises(TypeError):
        scan(https, colour=True)


def test_what_is_missing_is_warned_of(program, tmp_path):
    cut = tmp_path / "cut.pcap"
    with open("testdata/https.pcap", "rb") as file:
        cut.write_bytes(file.read()[:100_000])
    with pytest.warns(tlscov.CaptureWarning, match="cut.pcap"):
        report = tlscov.scan(cut)
    assert report.to_json() == program("scan", cut, "--quiet", "--format", "json")
    with pytest.warns(tlscov.CaptureWarning, match="no.pcap: cannot be read"):
        report = tlscov.scan(["no.pcap", "testdata/https.pcap"], strict=False)
    assert report == tlscov.scan("testdata/https.pcap")
