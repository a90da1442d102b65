package session

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/transcript"
)

func TestIntroduced(t *testing.T) {
	for text, want := range map[string]string{
		"Good morning. My name is Ada.":        "Ada",
		"my name's O'Brien, and I work here":   "O'Brien",
		"Hi, I'm Jean-Luc.":                    "Jean-Luc",
		"Hello there I’m Ada":                  "Ada",
		"Guten Tag, ich heiße Jörg.":           "Jörg",
		"Hola, me llamo Íñigo Montoya.":        "Íñigo",
		"Bonjour, je m'appelle Zoé.":           "Zoé",
		"Eu me chamo João, o meu nome é João.": "João",
		"Здравствуйте, меня зовут Анна.":       "Анна",
		"Merhaba, benim adım Şule.":            "Şule",
		"你好，我叫王明。":                             "王明",
		"私の名前は田中です。":                           "田中",
		"안녕하세요, 제 이름은 민수입니다.":                  "민수",
		"I'm German.":                          "",
		"My name is not important.":            "",
		"His name is Ada.":                     "",
		"Tommy name is Ada":                    "",
		"my name is":                           "",
		"我叫他明天早上过来一起吃饭吧":                       "",
		"Hi, I'm fine.":                        "",
	} {
		if got := introduced(text); got != want {
			t.Errorf("in %q somebody is introduced as %q, want %q", text, got, want)
		}
	}
}

// A speaker who says their name is suggested by it once, also where the words come in two parts, until somebody named them.
func TestIntroduction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		say := func(words string) {
			r.audio(time.Second)
			r.ear.say(words)
			pass(2 * time.Second)
		}
		const suggestion = `{"type":"speaker_label_suggestion","speaker_id":0,"person_id":"","person_name":"Ada","segment_id":"`
		say("Hello, my name is")
		if r.line.told("speaker_label_suggestion") {
			t.Error("suggested a name that was not said")
		}
		say("Ada.")
		say("I live here.")
		r.frame(false, `{"type":"speaker_assigned","speaker_id":0,"person_id":"p","person_name":"Ada","segment_ids":[]}`)
		say("My name is Eve.")
		if r.line.told("Eve\",\"segment") {
			t.Error("suggested a name for somebody who has one")
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		if got := strings.Count(strings.Join(r.line.sent, "\n"), suggestion); got != 1 {
			t.Errorf("suggested %d times, want once", got)
		}
	})
}

// What was searched isn't searched again. All the same what is found is the same, wherever a text had ended before.
func TestIntroductionInALongText(t *testing.T) {
	introduced := func(parts ...string) (d draft, frames int) {
		text := ""
		for _, part := range parts {
			text += part
			frames += len(d.introductions([]transcript.Segment{{ID: "a", Text: text}}))
		}
		return d, frames
	}
	for n := range 2 * longestIntroduction {
		between := strings.Repeat("x", n)
		if _, got := introduced("I see. My name is", " Ada.", between, " So it is."); got != 1 {
			t.Errorf("with %d bytes behind it, it is suggested %d times, want once", n, got)
		}
		if _, got := introduced("Tommy name is Ada. "+between, " So it is."); got != 0 {
			t.Errorf("with %d bytes behind it, half a word makes a name", n)
		}
	}
	d, _ := introduced(strings.Repeat("I see. ", 300))
	if left := len(d.introduced[0].unsearched(transcript.Segment{ID: "a", Text: strings.Repeat("I see. ", 300)})); left > longestIntroduction+10 {
		t.Errorf("%d bytes are searched again", left)
	}
}
