"""From other Whisper weight formats to CTranslate2, without torch."""
