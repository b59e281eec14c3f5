"""Phrases that Whisper learned from subtitles' closing credits and writes over silence and music.

Collected from users' reports. Being on a list is never enough: a phrase is withheld only with other evidence
that nobody spoke. Written as ``text.normalise`` leaves them.
"""

COMMON_PHRASES = frozenset(
    {
        "thank you",
        "thank you very much",
        "thank you so much",
        "bye",
        "bye bye",
        "you",
        "so",
        "oh",
        "okay",
        "i m sorry",
        "see you next time",
        "music",
        "applause",
        "silence",
        "vielen dank",
        "danke schön",
        "merci",
        "gracias",
        "obrigado",
        "grazie",
        "grazie a tutti",
        "dziękuję",
        "شكرا",
        "ありがとうございました",
        "おやすみなさい",
        "谢谢大家",
        "감사합니다",
        "bis zum nächsten mal",
        "продолжение следует",
    }
)
"""Also said by real people all day: these need evidence that there was no voice at all."""

CREDITS = frozenset(
    {
        # English
        "thanks for watching",
        "thank you for watching",
        "thank you so much for watching",
        "thanks for listening",
        "please subscribe",
        "please subscribe to my channel",
        "please like and subscribe",
        "like and subscribe",
        "don t forget to subscribe",
        "see you in the next video",
        "we ll be right back",
        "subtitles by the amara org community",
        "transcription by castingwords",
        "transcribed by https otter ai",
        "mbc news",
        # German
        "vielen dank fürs zuschauen",
        "danke fürs zuschauen",
        "untertitel der amara org community",
        "untertitel im auftrag des zdf für funk 2017",
        "untertitelung des zdf 2020",
        "untertitelung aufgrund der amara org community",
        # French
        "merci d avoir regardé cette vidéo",
        "merci d avoir regardé",
        "sous titres réalisés para la communauté d amara org",
        "sous titres réalisés par la communauté d amara org",
        "sous titrage st 501",
        "sous titrage société radio canada",
        "abonnez vous",
        # Spanish, Portuguese, Italian
        "gracias por ver el video",
        "gracias por ver",
        "subtítulos realizados por la comunidad de amara org",
        "suscríbete al canal",
        "obrigado por assistir",
        "legendas pela comunidade amara org",
        "grazie per aver guardato il video",
        "sottotitoli creati dalla comunità amara org",
        "sottotitoli e revisione a cura di qtss",
        # Dutch, Norwegian, Swedish, Danish
        "bedankt voor het kijken",
        "ondertiteld door de amara org gemeenschap",
        "ondertitels ingediend door de amara org gemeenschap",
        "teksting av nicolai winther",
        "undertekster av ai media",
        "tack för att ni tittade",
        "undertexter från amara org gemenskapen",
        "tak for at se med",
        # Polish, Russian, Turkish
        "dziękuję za oglądanie",
        "napisy stworzone przez społeczność amara org",
        "спасибо за просмотр",
        "субтитры сделал dimatorzok",
        "субтитры создавал dimatorzok",
        "редактор субтитров а синецкая корректор а егорова",
        "подписывайтесь на канал",
        "altyazı m k",
        "izlediğiniz için teşekkür ederim",
        "izlediğiniz için teşekkürler",
        # Arabic
        "ترجمة نانسي قنقر",
        "اشتركوا في القناة",
        # Japanese, Chinese, Korean
        "ご視聴ありがとうございました",
        "チャンネル登録お願いします",
        "谢谢观看",
        "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        "字幕由amara org社区提供",
        "中文字幕志愿者 李宗盛",
        "시청해주셔서 감사합니다",
        "구독과 좋아요 부탁드립니다",
        "다음 영상에서 만나요",
        "mbc 뉴스 이덕영입니다",
    }
)
"""Hardly ever said in earnest: the model's own doubt is evidence enough."""
