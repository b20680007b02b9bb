"""The language of a text, and texts that are in none."""

# ruff: noqa: RUF001  (letters of many scripts)

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from redrive.flows.documents.language import language

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("eng", "Please find attached the invoice for the month of November. Kindly transfer the amount to our account in time."),
        ("deu", "Sehr geehrte Damen und Herren, hiermit übersenden wir Ihnen die Rechnung für den Monat November."),
        ("fra", "Veuillez trouver ci-joint la facture du mois de novembre et nous vous prions de bien vouloir régler la somme."),
        ("spa", "Adjuntamos la factura correspondiente al mes de noviembre y les rogamos que realicen el pago en el plazo."),
        ("nob", "Kjære alle, vedlagt følger fakturaen for november måned, og vi ber dere om å betale beløpet innen fristen."),
        ("pol", "Szanowni Państwo, w załączeniu przesyłamy fakturę za listopad i prosimy o przelanie kwoty na nasze konto."),
        ("tur", "Kasım ayına ait faturayı ekte gönderiyoruz ve tutarı belirtilen süre içinde yatırmanızı rica ederiz."),
        ("rus", "Уважаемые господа, направляем вам счёт за ноябрь и просим оплатить указанную сумму в установленный срок."),
        ("ukr", "Шановні панове, надсилаємо вам рахунок за листопад і просимо сплатити зазначену суму у встановлений строк."),
        ("ell", "Αξιότιμοι κύριοι, σας αποστέλλουμε το τιμολόγιο για τον μήνα Νοέμβριο και σας παρακαλούμε να το εξοφλήσετε."),
        ("heb", "שלום רב, מצורפת בזאת החשבונית עבור חודש נובמבר, ואנו מבקשים להעביר את הסכום הנקוב לחשבון הבנק שלנו."),
        ("ara", "السادة المحترمون، نرسل إليكم فاتورة شهر نوفمبر ونرجو منكم سداد المبلغ المذكور في الموعد المحدد."),
        ("hin", "प्रिय महोदय, हम आपको नवंबर महीने का बिल भेज रहे हैं और कृपया निर्धारित समय के भीतर राशि हमारे खाते में जमा करें।"),
        ("tha", "เรียน ท่านผู้มีอุปการคุณ ขอส่งใบแจ้งหนี้ประจำเดือนพฤศจิกายน และขอความกรุณาชำระเงินภายในเวลาที่กำหนด"),
        ("jpn", "さて、十一月分の請求書をお送りいたしますので、ご確認のほどよろしくお願い申し上げます。"),
        ("cmn", "现将十一月份的发票寄给您，请在规定的期限内将款项汇入我们的账户。如有任何问题，请随时与我们联系。"),
        ("kor", "십일월분 청구서를 보내드리오니 정해진 기한 내에 지정된 계좌로 송금하여 주시기 바랍니다. 감사합니다."),
        ("deu", "Nr. 2015-123, 44,63 EUR, zahlbar innerhalb von 14 Tagen ohne Abzug. Vielen Dank für den Auftrag und viel Erfolg damit."),
    ],
)  # fmt: skip
def test_language_of_a_short_text_is_found(code: str, text: str):
    assert language(text) == code


def _keys() -> str:
    draw = random.Random(3)
    return "\n".join(f"{draw.randbytes(16).hex()} {base64.b64encode(draw.randbytes(30)).decode()}" for _ in range(60))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Thank you.",
        "1 2 3 4 5 66 7777 888 " * 40,
        "\n".join(f"INV-{n:05d} SKU{n * 7} {n * 1.5} paid" for n in range(100)),
        "\n".join(f"https://www.example.com/a/b{n}?x=y" for n in range(50)),
        (SAMPLES / "data" / "seattle-weather.csv").read_text(),
        (SAMPLES / "inbox" / "iowa-electricity.csv").read_text(),
        " ".join(random.Random(3).choices(["Müller", "Schmidt", "Garcia", "Rossi", "Ivanov", "Smith", "Li", "Wang"], k=100)),
        _keys(),
        "\udc80" * 500,
    ],
    ids=["nothing", "too short", "numbers", "list", "addresses", "table", "another table", "names", "keys", "no text"],
)  # fmt: skip
def test_text_without_sentences_is_in_no_language(text: str):
    assert language(text) is None
