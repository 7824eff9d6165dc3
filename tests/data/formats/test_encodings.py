"""Encodings: Chinese in GB18030 is certain by all of its bytes; other languages' encodings are never taken for it."""

import pytest

from intents.data.formats.encodings import is_gb18030

CHINESE = "你好，我想查询一下订单的状态，什么时候可以送到？多少钱呢"
OTHERS = {
    "utf-8": CHINESE,
    "utf-16": CHINESE,
    "big5": "我想查詢訂單的狀態，請問什麼時候會送到？可以退款嗎？我忘記密碼了",
    "euc_kr": "주문한 상품이 아직 도착하지 않았습니다 배송 상태를 확인해 주세요 환불 받고 싶어요 가격이 얼마인가요",
    "euc_jp": "注文した商品がまだ届いていません。配送状況を確認してください。返金してほしいです。",
    "euc_jis_2004": "ありがとうございます こんにちは おやすみなさい",
    "shift_jis": "注文した商品がまだ届いていません。配送状況を確認してください。返金してほしいです。",
    "koi8_r": "здравствуйте где мой заказ когда доставят верните деньги я забыл пароль",
    "cp1251": "здравствуйте где мой заказ когда доставят верните деньги я забыл пароль",
    "cp1252": "où est ma commande déjà payée, créée là? ÇÀ ET LÀ. ÉÉ ÀÀ " * 3,
    "ascii": "where is my order",
}


@pytest.mark.parametrize("encoding", ["gbk", "gb18030"])
def test_chinese_is_certain_wherever_its_blocks_end(encoding: str) -> None:
    encoded = CHINESE.encode(encoding)
    for size in (1, 7, 1000):
        assert is_gb18030(encoded[start : start + size] for start in range(0, len(encoded), size))


@pytest.mark.parametrize("encoding", OTHERS)
def test_another_encoding_is_not_taken_for_it(encoding: str) -> None:
    assert not is_gb18030([OTHERS[encoding].encode(encoding)])


def test_what_is_cut_short_damaged_or_of_a_few_characters_is_not_certain() -> None:
    encoded = CHINESE.encode("gbk")
    assert not is_gb18030([encoded[:-1]])
    assert not is_gb18030([encoded, b"\xff"])
    assert not is_gb18030(["你好你好".encode("gbk")])
