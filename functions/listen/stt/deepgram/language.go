package deepgram

import "strings"

// nova3 is what model nova-3 takes as language in streams, by
// https://developers.deepgram.com/docs/models-languages-overview and the changelog through September 2026.
var nova3 = []string{
	"multi",
	"af", "ar", "be", "bg", "bn", "bs", "ca", "cs", "da", "da-DK", "de", "de-CH", "el",
	"en", "en-AU", "en-CA", "en-GB", "en-IN", "en-NZ", "en-US",
	"es", "es-419", "et", "fa", "fi", "fr", "fr-CA", "gu", "gu-IN", "he", "hi", "hr", "hu", "hy", "id", "it", "ja",
	"ka", "kk", "kk-KZ", "kn", "ko", "ko-KR", "lt", "lv", "mk", "mr", "ms", "ne", "nl", "nl-BE", "no", "pa", "pa-IN",
	"pl", "pt", "pt-BR", "pt-PT", "ro", "ru", "sk", "sl", "sr", "sv", "sv-SE", "ta", "te", "th", "th-TH", "tl", "tr",
	"uk", "ur", "vi", "zh", "zh-CN", "zh-HK", "zh-Hans", "zh-Hant", "zh-TW",
}

// languages maps lower case to the server's own spelling.
type languages map[string]string

func newLanguages(codes []string) languages {
	l := make(languages, len(codes))
	for _, code := range codes {
		l[strings.ToLower(code)] = code
	}
	return l
}

// code is how the server spells the language or the nearest that it has: en-ZA is en where only that is known.
func (l languages) code(language string) (string, bool) {
	tag := strings.ToLower(strings.ReplaceAll(language, "_", "-"))
	for tag != "" {
		if code, ok := l[tag]; ok {
			return code, true
		}
		cut := strings.LastIndexByte(tag, '-')
		if cut < 0 {
			break
		}
		tag = tag[:cut]
	}
	return "", false
}
