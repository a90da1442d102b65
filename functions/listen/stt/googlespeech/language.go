package googlespeech

import "strings"

// long is what the model long takes in streams at the location global, the usual region of a language first:
// https://cloud.google.com/speech-to-text/v2/docs/speech-to-text-supported-languages.
var long = []string{
	"en-US", "en-AU", "en-GB", "en-IN", "es-US", "es-ES", "fr-FR", "fr-CA", "de-DE", "it-IT", "pt-BR", "pt-PT", "nl-NL",
	"ja-JP", "ko-KR", "hi-IN", "cmn-Hans-CN", "cmn-Hant-TW", "yue-Hant-HK", "ru-RU", "uk-UA", "pl-PL", "cs-CZ", "sk-SK",
	"hu-HU", "ro-RO", "bg-BG", "hr-HR", "sr-RS", "sl-SI", "el-GR", "tr-TR", "da-DK", "sv-SE", "no-NO", "fi-FI", "et-EE",
	"lv-LV", "lt-LT", "id-ID", "vi-VN", "th-TH",
}

// others are the names of languages that the service calls otherwise.
var others = map[string]string{
	"zh": "cmn", "zh-cn": "cmn-hans-cn", "zh-hans": "cmn-hans-cn", "zh-tw": "cmn-hant-tw", "zh-hant": "cmn-hant-tw",
	"zh-hk": "yue-hant-hk", "yue": "yue-hant-hk", "nb": "no", "nn": "no",
}

// languages maps lower case to the service's own spelling; a language without a region to the first that it came with.
type languages map[string]string

func newLanguages(codes []string) languages {
	l := make(languages, 2*len(codes))
	for _, code := range codes {
		tag := strings.ToLower(code)
		l[tag] = code
		language, _, _ := strings.Cut(tag, "-")
		if _, ok := l[language]; !ok {
			l[language] = code
		}
	}
	return l
}

// code is how the service spells the language or the nearest that it has: en-ZA is en-US where only that is known.
func (l languages) code(language string) (string, bool) {
	tag := strings.ToLower(strings.ReplaceAll(language, "_", "-"))
	for tag != "" {
		if code, ok := l[tag]; ok {
			return code, true
		}
		if other, ok := others[tag]; ok {
			if code, ok := l[other]; ok {
				return code, true
			}
		}
		cut := strings.LastIndexByte(tag, '-')
		if cut < 0 {
			break
		}
		tag = tag[:cut]
	}
	return "", false
}
