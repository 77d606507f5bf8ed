"""What each named set of series is; :mod:`whitecrow.data.catalogue` makes its entries of these facts."""

from typing import NamedTuple

__all__ = ["SERIES", "SeriesFacts"]


class SeriesFacts(NamedTuple):
    """The texts and numbers of an entry of the catalogue; ``reader`` is a key of ``SERIES_READERS``."""

    name: str
    rows: int
    columns: int
    anomalies: int
    description: str
    citation: str
    licence: str
    label_rule: str
    encoding: str
    source: str
    reader: str
    files: tuple[str, ...]


_ECG5000 = SeriesFacts(
    "ecg5000", 5_000, 140, 2_081,
    "ECG5000: heartbeats of 140 steps from one patient's electrocardiogram, fixed windows. The 500 of the UCR training "
    "part come first. The copy was min-max-scaled step by step with the ranges of the other 4,500, and rounded to two "
    "decimals; each beat is standardised again, as in the archive.",
    "Y. Chen et al., The UCR Time Series Classification Archive, 2015; A. L. Goldberger et al., PhysioBank, "
    "PhysioToolkit, and PhysioNet, Circulation 101(23), 2000.",
    "terms of the UCR archive and PhysioNet", "classes 2 to 5 (class 1 is normal)", "windows of 140 steps, 1 channel",
    "UCR archive / PhysioNet", "ecg5000", ("timeseries/ecg5000_scaled.npz",),
)  # fmt: skip

# folder and file: rows, rows in labelled windows
_NAB = {
    "artificialNoAnomaly/art_daily_no_noise": (4_032, 0),
    "artificialNoAnomaly/art_daily_perfect_square_wave": (4_032, 0),
    "artificialNoAnomaly/art_daily_small_noise": (4_032, 0),
    "artificialNoAnomaly/art_flatline": (4_032, 0),
    "artificialNoAnomaly/art_noisy": (4_032, 0),
    "artificialWithAnomaly/art_daily_flatmiddle": (4_032, 403),
    "artificialWithAnomaly/art_daily_jumpsdown": (4_032, 403),
    "artificialWithAnomaly/art_daily_jumpsup": (4_032, 403),
    "artificialWithAnomaly/art_daily_nojump": (4_032, 403),
    "artificialWithAnomaly/art_increase_spike_density": (4_032, 403),
    "artificialWithAnomaly/art_load_balancer_spikes": (4_032, 403),
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d": (4_032, 402),
    "realAWSCloudwatch/ec2_cpu_utilization_53ea38": (4_032, 402),
    "realAWSCloudwatch/ec2_cpu_utilization_5f5533": (4_032, 402),
    "realAWSCloudwatch/ec2_cpu_utilization_77c1ca": (4_032, 403),
    "realAWSCloudwatch/ec2_cpu_utilization_825cc2": (4_032, 343),
    "realAWSCloudwatch/ec2_cpu_utilization_ac20cd": (4_032, 403),
    "realAWSCloudwatch/ec2_cpu_utilization_c6585a": (4_032, 0),
    "realAWSCloudwatch/ec2_cpu_utilization_fe7f93": (4_032, 405),
    "realAWSCloudwatch/ec2_disk_write_bytes_1ef3de": (4_730, 473),
    "realAWSCloudwatch/ec2_disk_write_bytes_c0d644": (4_032, 405),
    "realAWSCloudwatch/ec2_network_in_257a54": (4_032, 403),
    "realAWSCloudwatch/ec2_network_in_5abac7": (4_730, 474),
    "realAWSCloudwatch/elb_request_count_8c0756": (4_032, 402),
    "realAWSCloudwatch/grok_asg_anomaly": (4_621, 465),
    "realAWSCloudwatch/iio_us-east-1_i-a2eb1cd9_NetworkIn": (1_243, 126),
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53": (4_032, 402),
    "realAWSCloudwatch/rds_cpu_utilization_e47b3b": (4_032, 402),
    "realKnownCause/ambient_temperature_system_failure": (7_267, 726),
    "realKnownCause/cpu_utilization_asg_misconfiguration": (18_050, 1_499),
    "realKnownCause/ec2_request_latency_system_failure": (4_032, 346),
    "realKnownCause/machine_temperature_system_failure": (22_695, 2_268),
    "realKnownCause/nyc_taxi": (10_320, 1_035),
    "realKnownCause/rogue_agent_key_hold": (1_882, 190),
    "realKnownCause/rogue_agent_key_updown": (5_315, 530),
}

# file name without its ending: rows, channels, anomalies
_TSB_AD = {
    "tsb_ad_m_169_SMAP_id_26_Sensor_tr_1811_1st_4510": (7_244, 25, 81),
    "tsb_ad_u_001_NAB_id_1_Facility_tr_1007_1st_2014": (4_031, 1, 343),
    "tsb_ad_u_346_UCR_id_44_Medical_tr_7456_1st_17390": (29_826, 1, 130),
}


def _nab(path: str, rows: int, anomalies: int) -> SeriesFacts:
    return SeriesFacts(
        f"nab/{path.partition('/')[2]}", rows, 1, anomalies,
        f"Series {path} of the Numenta Anomaly Benchmark, v1.1.",
        "A. Lavin and S. Ahmad, Evaluating Real-Time Anomaly Detection Algorithms: The Numenta Anomaly Benchmark, "
        "ICMLA 2015, arXiv:1510.03336.",
        "terms of the NAB repository",
        "inside the benchmark's windows; the first min(15 %, 750) rows are its probation", "1 channel and time stamps",
        "Numenta Anomaly Benchmark", "nab", (f"timeseries/nab/{path}.csv.gz", "timeseries/nab/combined_windows.json"),
    )  # fmt: skip


def _tsb_ad(stem: str, rows: int, channels: int, anomalies: int) -> SeriesFacts:
    suite, number, family, _, item = stem.split("_")[2:7]
    train_end = stem.split("_")[9]
    return SeriesFacts(
        f"tsb-ad/{number}_{family}_id_{item}", rows, channels, anomalies,
        f"Series {number} of TSB-AD-{suite.upper()}, from {family}; its first {train_end} rows are the training part.",
        "Q. Liu and J. Paparrizos, The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection "
        "Benchmark, NeurIPS 2024.",
        "terms of TSB-AD and of the original set", "the column Label", f"{channels} channels", "TSB-AD", "tsb-ad",
        (f"timeseries/{stem}.csv.gz",),
    )  # fmt: skip


SERIES: tuple[SeriesFacts, ...] = (
    _ECG5000,
    *(_nab(path, *facts) for path, facts in _NAB.items()),
    *(_tsb_ad(stem, *facts) for stem, facts in _TSB_AD.items()),
)
