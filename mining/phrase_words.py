"""Words of many languages that end a phrase, stand inside names, or name nothing."""

from __future__ import annotations

#: Taken off at the beginning of a name.
ARTICLES = frozenset(
    "a an the der die das den dem des ein eine einen einem einer le la les l' un une il lo gli i uno una el los "
    "las unos unas o os as um uma het de een det en ett".split()
)
#: May stand between the capitalised words of a name.
PARTICLES = frozenset(
    "of the de la le du des del della delle di da do dos das von vom van der den und y e et and en upon sur am an "
    "im".split()
)
#: End a run of words. Function words, and verbs and adverbs that stand between names in captions.
STOP_WORDS = ARTICLES | frozenset(
    (
        "about above across after again against all along also although am among and any are as at be because been "
        "before behind being below beside between both but by can could did do does doing done down during each "
        "either every few for from further had has have having he her here hers him his how however if in inside into "
        "is it its itself just like many may might more most much must near no nor not now of off on once one only "
        "onto or other our ours out outside over own per same she should since so some such than that their theirs "
        "them then there these they this those through thus till to together too toward towards under until up upon "
        "us very via was we were what when where whether which while who whom whose why will with within without "
        "would yet you your yours using used use uses shows showing shown show seen see taken made based applied "
        "applying getting make making get give given gives let lets looks looking contains containing including "
        "include includes called named auf aus bei beim bis durch für gegen im ins mit nach nicht oder ohne sich sie "
        "sind über um und unter vom von vor war werden wie wird wurde zu zum zur zwischen als an auch dass er es hat "
        "ich ihr ihre ist man nur sein à au aux avec ce cette ces comme dans de du elle en est et ils elles leur "
        "leurs mais ne nos notre nous ou où par pas plus pour qu que qui sa sans se ses son sont sous sur tout très "
        "vers vous votre al como con cuando del desde donde e entre era esta este esto fue ha hasta más muy o para "
        "pero por porque sin sobre su sus también un y ya alla anche che chi ci come cui da dai dal dalla degli dei "
        "della delle di è fra il loro ma nei nel nella non più quale quando questa questo sono sua sue suo sul sulla "
        "tra ao aos com das dos em foi na nas não pela pelo sem são seu também bij dat deze die dit door heeft het "
        "hij hoe ik maar met naar niet om ook op te tot uit van voor wat wordt zijn zo av för från har inte med och "
        "på som var är в во и из за к как на не но о об от по при с со что это для до или у i w z się nie jest że od "
        "dla przy po"
    ).split()
)
#: Said of any picture or page: a phrase of these words alone names nothing.
GENERIC = STOP_WORDS | frozenset(
    (
        "enlarged larger smaller main configuration parameter color colour add adding "
        "image picture photo photograph pic graphic logo icon banner thumbnail thumb screenshot screen shot figure "
        "fig illustration diagram drawing plot chart graph table sample example demo preview view overview version "
        "default original before after result output input source file page pages home index content contents section "
        "chapter part step introduction intro installation documentation document doc docs manual guide tutorial "
        "reference wiki website site web html help faq news blog article post gallery list category tag archive "
        "search about contact login menu navigation copyright license author title name description text link click "
        "here more next previous first second third last left right top bottom side front back new old big small "
        "large little full high low long short good bad best simple basic advanced general other different various "
        "several two three four five six seven eight nine ten thing type kind way use user setting option detail note "
        "info information data welcome untitled unknown january february march april may june july august september "
        "october november december monday tuesday wednesday thursday friday saturday sunday today edition rst txt png "
        "jpg jpeg gif bild foto abbildung seite beispiel übersicht einführung anleitung dokumentation ansicht imagen "
        "página ejemplo immagine pagina esempio imagem exemplo exemple aperçu vue рисунок фото страница пример"
    ).split()
)
